//! Every operation beside its definition in f64, and the same bits for any
//! number of threads and any instruction set.

use std::process::Command;

use kwaya_math::{
    AdamW, AttentionShape, Direction, IGNORED, Matrix, Pool, Precision, RopeTable, Start, add_to_rows,
    add_to_rows_backward, attention, attention_backward, capped_cross_entropy, cross_entropy_loss, embedding,
    embedding_backward, geglu, geglu_backward, matmul, philox::Stream, rms_norm, rms_norm_backward, rope, softcap,
    softmax_cross_entropy, swiglu, swiglu_backward,
};

fn random(n: usize, index: u64) -> Vec<f32> {
    let mut stream = Stream::new(5, 1, index);
    (0..n).map(|_| stream.next_f32() * 4.0 - 2.0).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// Within `tolerance` of the largest value.
fn near(what: &str, found: &[f32], exact: &[f64], tolerance: f64) {
    assert_eq!(found.len(), exact.len(), "{what}");
    let size = exact.iter().fold(1e-30_f64, |m, x| m.max(x.abs()));
    let (at, error) = found
        .iter()
        .zip(exact)
        .map(|(f, e)| (f64::from(*f) - e).abs() / size)
        .enumerate()
        .fold((0, 0.0), |worst, (i, e)| if e <= worst.1 { worst } else { (i, e) });
    assert!(error < tolerance, "{what}: {} for {} at {at}", found[at], exact[at]);
}

/// What an attention takes, gives, and gives back.
struct Attention {
    shape: AttentionShape,
    starts: Vec<u32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    dout: Vec<f32>,
}

impl Attention {
    fn new(batch: usize, tokens: usize, heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        let shape = AttentionShape::new(batch, tokens, heads, kv_heads, head_dim);
        let n = batch * tokens;
        // A document ends after every seventh position, or never.
        let starts = |i: usize| if (i / tokens).is_multiple_of(2) { (i % tokens / 7 * 7) as u32 } else { 0 };
        Self {
            shape,
            starts: (0..n).map(starts).collect(),
            q: random(n * heads * head_dim, 1),
            k: random(n * kv_heads * head_dim, 2),
            v: random(n * kv_heads * head_dim, 3),
            dout: random(n * heads * head_dim, 4),
        }
    }

    /// out, dq, dk, dv.
    fn run(&self, pool: &Pool) -> [Vec<f32>; 4] {
        let softmax = self.starts.len() * self.shape.heads;
        let (mut max, mut sum) = (vec![0.0; softmax], vec![0.0; softmax]);
        let mut out = vec![f32::NAN; self.q.len()];
        attention(pool, &mut out, &mut max, &mut sum, &self.q, &self.k, &self.v, &self.starts, &self.shape);
        let (mut dq, mut dk, mut dv) =
            (vec![f32::NAN; self.q.len()], vec![f32::NAN; self.k.len()], vec![f32::NAN; self.v.len()]);
        attention_backward(
            pool,
            &mut dq,
            &mut dk,
            &mut dv,
            &self.dout,
            &self.q,
            &self.k,
            &self.v,
            &out,
            &max,
            &sum,
            &self.starts,
            &self.shape,
        );
        [out, dq, dk, dv]
    }

    /// The same from the textbook, in f64.
    fn exact(&self) -> [Vec<f64>; 4] {
        let AttentionShape { tokens: t, heads, kv_heads, head_dim: d, .. } = self.shape;
        let (q, k, v, dout) = (wide(&self.q), wide(&self.k), wide(&self.v), wide(&self.dout));
        let (scale, cap) = (f64::from(self.shape.scale), self.shape.softcap.map(f64::from));
        let (mut out, mut dq) = (vec![0.0; q.len()], vec![0.0; q.len()]);
        let (mut dk, mut dv) = (vec![0.0; k.len()], vec![0.0; v.len()]);
        for i in 0..self.starts.len() {
            let keys = i / t * t + self.starts[i] as usize..i + 1;
            for h in 0..heads {
                let query = (i * heads + h) * d;
                let key = |j: usize| (j * kv_heads + h / (heads / kv_heads)) * d;
                let product = |j: usize| (0..d).map(|c| q[query + c] * k[key(j) + c]).sum::<f64>() * scale;
                let score = |j: usize| cap.map_or(product(j), |cap| cap * (product(j) / cap).tanh());
                let exps: Vec<f64> = keys.clone().map(|j| score(j).exp()).collect();
                let total: f64 = exps.iter().sum();
                let p: Vec<f64> = exps.iter().map(|e| e / total).collect();
                for (p, j) in p.iter().zip(keys.clone()) {
                    (0..d).for_each(|c| out[query + c] += p * v[key(j) + c]);
                }
                let delta: f64 = (0..d).map(|c| dout[query + c] * out[query + c]).sum();
                for (p, j) in p.iter().zip(keys.clone()) {
                    let dp: f64 = (0..d).map(|c| dout[query + c] * v[key(j) + c]).sum();
                    let slope = cap.map_or(1.0, |cap| 1.0 - (score(j) / cap).powi(2));
                    let ds = p * (dp - delta) * scale * slope;
                    for c in 0..d {
                        dv[key(j) + c] += p * dout[query + c];
                        dq[query + c] += ds * k[key(j) + c];
                        dk[key(j) + c] += ds * q[query + c];
                    }
                }
            }
        }
        [out, dq, dk, dv]
    }
}

#[test]
fn attention_is_the_textbook_s() {
    let one = Pool::new(1);
    let several = Pool::new(3);
    for (tokens, heads, kv_heads, head_dim) in
        [(1, 1, 1, 2), (5, 2, 1, 6), (33, 4, 2, 16), (70, 2, 2, 20), (64, 4, 1, 48), (97, 2, 1, 64)]
    {
        let plain = Attention::new(3, tokens, heads, kv_heads, head_dim);
        // Scores are about 1 for these, so that a cap of 0.7 bends most of them.
        let shape = AttentionShape { scale: 0.3, softcap: Some(0.7), ..plain.shape };
        let window = |i: usize| (i % tokens + 1).saturating_sub(5) as u32;
        let starts = plain.starts.iter().enumerate().map(|(i, start)| window(i).max(*start)).collect();
        let capped = Attention { shape, starts, ..Attention::new(3, tokens, heads, kv_heads, head_dim) };
        for case in [plain, capped] {
            let found = case.run(&one);
            let what = ["out", "dq", "dk", "dv"];
            for ((found, exact), what) in found.iter().zip(case.exact()).zip(what) {
                near(&format!("{what} of {:?}", case.shape), found, &exact, 1e-5);
            }
            assert!(found == case.run(&several), "threads change {:?}", case.shape);
        }
    }
}

#[test]
fn rms_norm_and_its_gradients_are_the_textbook_s() {
    for (n, c) in [(1, 3), (17, 5), (40, 96), (33, 150)] {
        let (x, weight, dy) = (random(n * c, 1), random(c, 2), random(n * c, 3));
        let run = |threads| {
            let pool = Pool::new(threads);
            let (mut out, mut inv) = (vec![0.0; n * c], vec![0.0; n]);
            rms_norm(&pool, &mut out, &mut inv, &x, &weight, 1e-5);
            let (mut dx, mut dweight) = (vec![0.0; n * c], vec![0.0; c]);
            rms_norm_backward(&pool, &mut dx, &mut dweight, &dy, &x, &weight, &inv);
            [out, dx, dweight]
        };
        let found = run(1);
        assert!(found == run(3));
        let (mut out, mut dx, mut dweight) = (vec![0.0; n * c], vec![0.0; n * c], vec![0.0; c]);
        for i in 0..n {
            let at = i * c..(i + 1) * c;
            let (x, dy, w) = (wide(&x[at.clone()]), wide(&dy[at]), wide(&weight));
            let rms = (x.iter().map(|x| x * x).sum::<f64>() / c as f64 + 1e-5).sqrt();
            let dot: f64 = (0..c).map(|j| dy[j] * w[j] * x[j]).sum();
            for j in 0..c {
                out[i * c + j] = x[j] / rms * w[j];
                dx[i * c + j] = dy[j] * w[j] / rms - x[j] * dot / (c as f64 * rms.powi(3));
                dweight[j] += dy[j] * x[j] / rms;
            }
        }
        for (found, exact) in found.iter().zip([out, dx, dweight]) {
            near(&format!("rms_norm ({n}, {c})"), found, &exact, 1e-5);
        }
    }
}

#[test]
fn rope_turns_pairs_by_their_angle_and_back() {
    let (heads, half, positions) = (3, 10, 300);
    let table = RopeTable::new(10_000.0, 2 * half, positions);
    let at: Vec<u32> = (0..70).map(|i| i * 7 % positions as u32).collect();
    let x = random(at.len() * heads * 2 * half, 1);
    let mut turned = x.clone();
    let pool = Pool::new(2);
    rope(&pool, &mut turned, heads, &table, &at, Direction::Forward);
    let mut exact = wide(&x);
    for (row, position) in exact.chunks_mut(heads * 2 * half).zip(&at) {
        for head in row.chunks_mut(2 * half) {
            for i in 0..half {
                let frequency = 10_000_f64.powf(-(i as f64) / half as f64);
                let (sin, cos) = (f64::from(*position) * frequency).sin_cos();
                let (a, b) = (head[i], head[i + half]);
                (head[i], head[i + half]) = (a * cos - b * sin, b * cos + a * sin);
            }
        }
    }
    // Angles are f32, as in Hugging Face: 300 radians are known to 2^-16.
    near("rope", &turned, &exact, 5e-5);
    rope(&pool, &mut turned, heads, &table, &at, Direction::Backward);
    near("rope and back", &turned, &wide(&x), 1e-6);
}

#[test]
fn swiglu_and_its_gradients_are_the_textbook_s() {
    let n = 40_003;
    let (gate, up, d): (Vec<f32>, _, _) = (random(n, 1).iter().map(|x| 10.0 * x).collect(), random(n, 2), random(n, 3));
    let run = |threads| {
        let pool = Pool::new(threads);
        let (mut out, mut dgate, mut dup) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let mut again = out.clone();
        swiglu(&pool, &mut out, &gate, &up);
        swiglu_backward(&pool, &mut dgate, &mut dup, &mut again, &d, &gate, &up);
        [out, dgate, dup]
    };
    let found = run(1);
    assert!(found == run(3));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let triples = wide(&gate).into_iter().zip(wide(&up)).zip(wide(&d));
    let exact: Vec<[f64; 3]> = triples
        .map(|((g, u), d)| {
            let s = sigmoid(g);
            [g * s * u, d * u * s * (1.0 + g * (1.0 - s)), d * g * s]
        })
        .collect();
    for (i, found) in found.iter().enumerate() {
        near(&format!("swiglu {i}"), found, &exact.iter().map(|e| e[i]).collect::<Vec<_>>(), 1e-6);
    }
}

#[test]
fn geglu_and_its_gradients_are_the_textbook_s() {
    let n = 40_003;
    let (gate, up, d): (Vec<f32>, _, _) = (random(n, 1).iter().map(|x| 3.0 * x).collect(), random(n, 2), random(n, 3));
    let run = |threads| {
        let pool = Pool::new(threads);
        let (mut out, mut dgate, mut dup) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let mut again = out.clone();
        geglu(&pool, &mut out, &gate, &up);
        geglu_backward(&pool, &mut dgate, &mut dup, &mut again, &d, &gate, &up);
        assert!(again == out);
        [out, dgate, dup]
    };
    let found = run(1);
    assert!(found == run(3));
    let gelu = |x: f64| {
        let root = (2.0 / std::f64::consts::PI).sqrt();
        0.5 * x * (1.0 + (root * (x + 0.044_715 * x * x * x)).tanh())
    };
    let slope = |x: f64| (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5;
    let triples = wide(&gate).into_iter().zip(wide(&up)).zip(wide(&d));
    let exact: Vec<[f64; 3]> = triples.map(|((g, u), d)| [gelu(g) * u, d * u * slope(g), d * gelu(g)]).collect();
    for (i, found) in found.iter().enumerate() {
        near(&format!("geglu {i}"), found, &exact.iter().map(|e| e[i]).collect::<Vec<_>>(), 1e-6);
    }
}

#[test]
fn a_bias_is_added_to_each_row() {
    for (n, c) in [(1, 1), (17, 5), (40, 130)] {
        let (x, bias) = (random(n * c, 1), random(c, 2));
        let mut out = x.clone();
        add_to_rows(&Pool::new(3), &mut out, &bias);
        assert!(out.iter().enumerate().all(|(i, out)| *out == x[i] + bias[i % c]));
        let mut dbias = vec![f32::NAN; c];
        add_to_rows_backward(&Pool::new(2), &mut dbias, &x);
        let sum = |j: usize| x.iter().skip(j).step_by(c).fold(0.0, |sum: f32, x| sum + x);
        assert!(dbias.iter().enumerate().all(|(j, found)| *found == sum(j)));
    }
}

#[test]
fn capped_logits_give_the_gradient_of_what_was_capped() {
    let (n, v, cap) = (9, 701, 4.0);
    let logits: Vec<f32> = random(n * v, 1).iter().map(|x| 3.0 * x).collect();
    let targets: Vec<u32> = (0..n).map(|i| if i % 4 == 3 { IGNORED } else { (i * 7 % v) as u32 }).collect();
    let run = |threads| {
        let (pool, mut d, mut losses, mut alone) = (Pool::new(threads), logits.clone(), vec![0.0; n], vec![0.0; n]);
        softcap(&pool, &mut d, cap);
        cross_entropy_loss(&pool, &d, &mut alone, &targets, v);
        capped_cross_entropy(&pool, &mut d, &mut losses, &targets, 0.25, cap);
        assert!(alone == losses);
        [d, losses]
    };
    let [d, losses] = run(1);
    assert!([d.clone(), losses.clone()] == run(3));
    let (mut exact_d, mut exact) = (vec![0.0; n * v], vec![0.0; n]);
    for i in (0..n).filter(|i| targets[*i] != IGNORED) {
        let cap = f64::from(cap);
        let parts: Vec<f64> = wide(&logits[i * v..(i + 1) * v]).iter().map(|x| (x / cap).tanh()).collect();
        let total: f64 = parts.iter().map(|t| (cap * t).exp()).sum();
        let target = targets[i] as usize;
        exact[i] = total.ln() - cap * parts[target];
        for (j, t) in parts.iter().enumerate() {
            let hit = if j == target { 1.0 } else { 0.0 };
            exact_d[i * v + j] = 0.25 * ((cap * t).exp() / total - hit) * (1.0 - t * t);
        }
    }
    near("losses", &losses, &exact, 2e-6);
    near("gradient of the logits", &d, &exact_d, 2e-6);
}

#[test]
fn cross_entropy_and_its_gradient_are_the_textbook_s() {
    for (n, v) in [(1, 2), (9, 17), (5, 1000)] {
        let logits: Vec<f32> = random(n * v, 1).iter().map(|x| 5.0 * x).collect();
        let targets: Vec<u32> = (0..n).map(|i| if i % 4 == 3 { IGNORED } else { (i * 7 % v) as u32 }).collect();
        let (mut d, mut losses) = (logits.clone(), vec![0.0; n]);
        softmax_cross_entropy(&Pool::new(2), &mut d, &mut losses, &targets, 0.25);
        let (mut exact_d, mut exact) = (vec![0.0; n * v], vec![0.0; n]);
        for i in (0..n).filter(|i| targets[*i] != IGNORED) {
            let row = wide(&logits[i * v..(i + 1) * v]);
            let total: f64 = row.iter().map(|x| x.exp()).sum();
            let target = targets[i] as usize;
            exact[i] = total.ln() - row[target];
            for j in 0..v {
                let hit = if j == target { 1.0 } else { 0.0 };
                exact_d[i * v + j] = 0.25 * (row[j].exp() / total - hit);
            }
        }
        near("losses", &losses, &exact, 2e-6);
        near("gradient of the logits", &d, &exact_d, 2e-6);
    }
}

#[test]
fn an_embedding_takes_rows_and_its_gradient_adds_to_them() {
    let (v, c) = (11, 130);
    let table = random(v * c, 1);
    let tokens: Vec<u32> = (0..50).map(|i| i * i % v as u32).collect();
    let pool = Pool::new(3);
    let mut out = vec![0.0; tokens.len() * c];
    embedding(&pool, &mut out, &table, &tokens);
    let dout = random(out.len(), 2);
    let mut dtable = vec![0.0; v * c];
    embedding_backward(&pool, &mut dtable, &dout, &tokens);
    let mut exact = vec![0.0; v * c];
    for (i, token) in tokens.iter().enumerate() {
        let row = *token as usize * c..(*token as usize + 1) * c;
        assert_eq!(out[i * c..(i + 1) * c], table[row.clone()]);
        for (sum, d) in exact[row].iter_mut().zip(&dout[i * c..(i + 1) * c]) {
            *sum += f64::from(*d);
        }
    }
    near("gradient of the table", &dtable, &exact, 1e-6);
}

/// One hash over the bits of every kind of operation.
fn fingerprint() -> u64 {
    let pool = Pool::new(2);
    let mut bits = Vec::new();
    let (m, n, k) = (37, 50, 700);
    let (a, b) = (random(m * k, 1), random(k * n, 2));
    for (rows, matrix) in
        [(m, Matrix::new(&a, m, k)), (m, Matrix::new(&a, k, m).t()), (3, Matrix::new(&a[..3 * k], 3, k))]
    {
        for precision in [Precision::F32, Precision::Bf16] {
            for right in [Matrix::new(&b, k, n), Matrix::new(&b, n, k).t()] {
                let mut c = vec![0.0; rows * n];
                matmul(&pool, &mut c, Start::Zero, matrix, right, precision);
                bits.extend(c);
            }
        }
    }
    bits.extend(Attention::new(2, 45, 4, 2, 20).run(&pool).concat());
    let (x, y) = (random(3000, 3), random(3000, 4));
    let (mut out, mut inv) = (vec![0.0; 3000], vec![0.0; 30]);
    rms_norm(&pool, &mut out, &mut inv, &x, &y[..100], 1e-5);
    bits.extend(&out);
    let capped = Attention::new(2, 45, 4, 2, 20);
    let shape = AttentionShape { softcap: Some(0.7), ..capped.shape };
    bits.extend(Attention { shape, ..capped }.run(&pool).concat());
    let (mut dx, mut dy) = (vec![0.0; 3000], vec![0.0; 3000]);
    geglu_backward(&pool, &mut dx, &mut dy, &mut out, &x, &y, &x);
    bits.extend(dx.iter().chain(&dy).chain(&out));
    softcap(&pool, &mut dx, 3.0);
    capped_cross_entropy(&pool, &mut dx, &mut [0.0; 3], &[1, 999, 3], 0.5, 3.0);
    bits.extend(&dx);
    swiglu(&pool, &mut out, &x, &y);
    bits.extend(&out);
    let mut losses = vec![0.0; 3];
    softmax_cross_entropy(&pool, &mut out, &mut losses, &[1, 999, 3], 0.5);
    bits.extend(out.iter().chain(&losses));
    let (mut w, mut m1, mut m2) = (x.clone(), vec![0.0; 3000], vec![0.0; 3000]);
    let optimiser = AdamW {
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        step: 3,
        gradient_scale: 0.7,
    };
    optimiser.update(&pool, &mut w, &y, &mut m1, &mut m2);
    bits.extend(w.iter().chain(&m1).chain(&m2));
    bits.extend([kwaya_math::sum(&x), kwaya_math::sum_squares(&pool, &x) as f32]);
    // FNV-1a: enough to tell two lists of bits apart.
    bits.iter()
        .flat_map(|x| x.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Not a check by itself: prints for the next one.
#[test]
#[ignore = "run by every_instruction_set_gives_the_same_bits"]
fn print_the_fingerprint() {
    println!("fingerprint {} {:016x}", kwaya_math::isa(), fingerprint());
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let run = |isa: &str| {
        let me = std::env::current_exe().expect("a test has a path");
        let output = Command::new(me)
            .args(["--exact", "print_the_fingerprint", "--ignored", "--nocapture"])
            .env("KWAYA_ISA", isa)
            .output()
            .expect("a test can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<String> = text
            .lines()
            .find_map(|l| l.split("fingerprint ").nth(1))
            .expect(&text)
            .split(' ')
            .map(str::to_owned)
            .collect();
        (words[0].clone(), words[1].clone())
    };
    let portable = run("portable");
    for isa in kwaya_math::isas() {
        let found = run(isa);
        assert_eq!(found.0, isa);
        assert_eq!(found.1, portable.1, "{isa} and portable");
    }
}
