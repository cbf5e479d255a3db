//! The operations of this crate have the bits that `docs/arithmetic.md` says.

mod oracle;

use kwaya_math::{
    AdamW, AttentionShape, Direction, IGNORED, Matrix, Pool, Precision, RopeTable, Start, attention,
    attention_backward, capped_cross_entropy, geglu_backward, half, matmul,
    philox::{self, Stream},
    rms_norm, rms_norm_again, rms_norm_backward, rope, scalar, softmax_cross_entropy, sum, sum_squares, swiglu,
    swiglu_backward,
};

fn random(n: usize, index: u64) -> Vec<f32> {
    let mut stream = Stream::new(11, 1, index);
    (0..n).map(|_| stream.next_f32() * 4.0 - 2.0).collect()
}

#[track_caller]
fn same(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let differs =
        found.iter().zip(expected).position(|(f, e)| f.to_bits() != e.to_bits() && !(f.is_nan() && e.is_nan()));
    if let Some(at) = differs {
        panic!("{what}: {:e} at {at}, the document says {:e}", found[at], expected[at]);
    }
}

#[test]
fn functions() {
    // Every 1,009th f32: denormals, infinities and NaNs are among them.
    for bits in (0..=u32::MAX).step_by(1009).chain([0, 1 << 31, 0x7f80_0000, 0xff80_0000, 0x0080_0000]) {
        let x = f32::from_bits(bits);
        same(&format!("exp {x:e}"), &[scalar::exp(x)], &[oracle::exp(x)]);
        same(&format!("log {x:e}"), &[scalar::log(x)], &[oracle::log(x)]);
        same(&format!("tanh {x:e}"), &[scalar::tanh(x)], &[oracle::tanh(x)]);
        same(&format!("f16 {x:e}"), &[half::widen(half::narrow(x))], &[oracle::f16(x)]);
    }
    let mut stream = Stream::new(3, 1, 4);
    for _ in 0..20_000 {
        let x = f64::from(stream.next_f32()) * 2000.0 - 1000.0;
        assert_eq!(scalar::exp2(x).to_bits(), oracle::exp2(x).to_bits(), "exp2 {x}");
        assert_eq!(scalar::log2(x.abs()).to_bits(), oracle::log2(x.abs()).to_bits(), "log2 {x}");
        assert_eq!(scalar::sin(x * 999.0).to_bits(), oracle::sin(x * 999.0).to_bits(), "sin {x}");
        assert_eq!(scalar::cos(x * 999.0).to_bits(), oracle::cos(x * 999.0).to_bits(), "cos {x}");
        let n = u64::from(stream.next_u32() >> 16);
        assert_eq!(scalar::powi(0.999, n).to_bits(), oracle::powi(0.999, n).to_bits(), "powi {n}");
    }
}

#[test]
fn sums() {
    let pool = Pool::new(2);
    for n in [0, 1, 15, 16, 17, 100, 65_536, 200_001] {
        let x = random(n, 1);
        same("sum", &[sum(&x)], &[oracle::sum(&x)]);
        same("sum of squares", &[sum_squares(&pool, &x)], &[oracle::sum_squares(&x)]);
    }
}

#[test]
fn random_numbers() {
    let mut x = vec![0.0; 5001];
    philox::fill_normal(&Pool::new(2), &mut x, 0.02, 42 << 33, 7);
    same("normal", &x, &oracle::normal(x.len(), 0.02, 42 << 33, 7));
    for n in [1, 2, 3, 7, 300, 70_000] {
        for i in (0..n).step_by(13) {
            assert_eq!(philox::permute(9, 5, 1 << 40 | 3, n, i), oracle::permute(9, 5, 1 << 40 | 3, n, i));
        }
    }
}

#[test]
fn matrix_products() {
    let pool = Pool::new(2);
    // Numbers of every size for bfloat16: denormals, and sums that become some.
    let small =
        |x: &[f32]| x.iter().enumerate().map(|(i, x)| x * 2.0_f32.powi(-60 - (i % 9) as i32)).collect::<Vec<_>>();
    for (m, n, k) in [(1, 1, 1), (7, 33, 5), (3, 100, 64), (50, 70, 700), (17, 49, 31)] {
        let (a, b) = (random(m * k, 1), random(k * n, 2));
        for (scale, precision, numbers) in [
            (false, Precision::F32, oracle::Numbers::F32),
            (false, Precision::Bf16, oracle::Numbers::Bf16),
            (true, Precision::Bf16, oracle::Numbers::Bf16),
        ] {
            let (a, b) = if scale { (small(&a), small(&b)) } else { (a.clone(), b.clone()) };
            let from = if scale { small(&small(&random(m * n, 4))) } else { random(m * n, 4) };
            for start in [Start::Zero, Start::Keep, Start::From(&from)] {
                let held = random(m * n, 3);
                let first = match start {
                    Start::Zero => vec![0.0; m * n],
                    Start::Keep => held.clone(),
                    Start::From(from) => from.to_vec(),
                };
                let run = |a: Matrix<'_>, b: Matrix<'_>| {
                    let mut out = held.clone();
                    matmul(&pool, &mut out, start, a, b, precision);
                    out
                };
                let mut expected = first.clone();
                oracle::product(&mut expected, &a, &b, k, numbers);
                same("A B", &run(Matrix::new(&a, m, k), Matrix::new(&b, k, n)), &expected);
                expected.clone_from(&first);
                oracle::product_t(&mut expected, &a, &b, k, numbers);
                same("A Bt", &run(Matrix::new(&a, m, k), Matrix::new(&b, n, k).t()), &expected);
                expected.clone_from(&first);
                oracle::t_product(&mut expected, &a, &b, k, numbers);
                same("At B", &run(Matrix::new(&a, k, m).t(), Matrix::new(&b, k, n)), &expected);
            }
        }
    }
}

/// In bfloat16, a denormal that is met by one output alone, exact or rounded,
/// on the way or at the end, read or written, is flushed there and nowhere else.
#[test]
fn a_denormal_anywhere_in_a_product() {
    let pool = Pool::new(2);
    let (m, n) = (13, 50);
    for (k, seed) in (1..40).chain([700, 701]).zip(10..) {
        let (mut a, mut b, mut first) = (random(m * k, seed), random(k * n, seed + 1), random(m * n, seed + 2));
        let (i, j) = (seed as usize % m, 7 * seed as usize % n);
        for p in 0..k {
            // From this place on, products of about 2^-126, some of them exact.
            let small = if p % 3 == 0 { 2.0_f32.powi(-64) } else { 2.0_f32.powi(-63) * a[i * k + p] };
            let small = if p < k / 2 { 0.0 } else { small };
            (a[i * k + p], b[p * n + j]) = (small, 2.0_f32.powi(-63) * if p % 5 == 0 { 1.0 } else { b[p * n + j] });
        }
        first[i * n + j] = if seed % 2 == 0 { f32::MIN_POSITIVE } else { f32::from_bits(12_345) };
        for start in [Start::Zero, Start::From(&first)] {
            let mut expected = if start == Start::Zero { vec![0.0; m * n] } else { first.clone() };
            oracle::product(&mut expected, &a, &b, k, oracle::Numbers::Bf16);
            let mut found = vec![0.0; m * n];
            matmul(&pool, &mut found, start, Matrix::new(&a, m, k), Matrix::new(&b, k, n), Precision::Bf16);
            same(&format!("{k} deep"), &found, &expected);
        }
    }
}

#[test]
fn layers() {
    let pool = Pool::new(2);
    for (n, c) in [(1, 3), (40, 96), (33, 150)] {
        let (x, w, dy) = (random(n * c, 1), random(c, 2), random(n * c, 3));
        let (mut out, mut inv, mut dx, mut dw) = (vec![0.0; n * c], vec![0.0; n], vec![0.0; n * c], random(c, 4));
        let mut expected_dw = dw.clone();
        rms_norm(&pool, &mut out, &mut inv, &x, &w, 1e-5);
        same("rms_norm", &out, &oracle::rms_norm(&x, &w, 1e-5));
        let mut again = vec![0.0; n * c];
        rms_norm_again(&pool, &mut again, &x, &w, &inv);
        same("rms_norm again", &again, &out);
        rms_norm_backward(&pool, &mut dx, &mut dw, &dy, &x, &w, &inv);
        same("dx of rms_norm", &dx, &oracle::rms_norm_backward(&mut expected_dw, &dy, &x, &w, 1e-5));
        same("dw of rms_norm", &dw, &expected_dw);
        let (mut dgate, mut dup) = (vec![0.0; n * c], vec![0.0; n * c]);
        let gate: Vec<f32> = x.iter().map(|x| x * 20.0).collect();
        swiglu(&pool, &mut out, &gate, &dy);
        same("swiglu", &out, &oracle::swiglu(&gate, &dy));
        let mut again = vec![0.0; n * c];
        swiglu_backward(&pool, &mut dgate, &mut dup, &mut again, &x, &gate, &dy);
        same("swiglu again", &again, &out);
        let (expected_dgate, expected_dup) = oracle::swiglu_backward(&x, &gate, &dy);
        same("dgate", &dgate, &expected_dgate);
        same("dup", &dup, &expected_dup);
        geglu_backward(&pool, &mut dgate, &mut dup, &mut again, &dy, &x, &gate);
        let (expected_dgate, expected_dup) = oracle::geglu_backward(&dy, &x, &gate);
        same("dgate of geglu", &dgate, &expected_dgate);
        same("dup of geglu", &dup, &expected_dup);
    }
    let at: Vec<u32> = (0..40).map(|i| i * i % 500).collect();
    for (direction, sign) in [(Direction::Forward, 1.0), (Direction::Backward, -1.0)] {
        let x = random(40 * 3 * 20, 1);
        let (mut found, mut expected) = (x.clone(), x);
        rope(&pool, &mut found, 3, &RopeTable::new(10_000.0, 20, 500), &at, direction);
        oracle::rope(&mut expected, 3, 10_000.0, &at, sign);
        same("rope", &found, &expected);
    }
}

#[test]
fn the_head() {
    let (n, v) = (9, 1003);
    let mut found: Vec<f32> = random(n * v, 1).iter().map(|x| x * 10.0).collect();
    let mut expected = found.clone();
    let targets: Vec<u32> = (0..n).map(|i| if i == 4 { IGNORED } else { (i * 101 % v) as u32 }).collect();
    let mut losses = vec![0.0; n];
    softmax_cross_entropy(&Pool::new(2), &mut found, &mut losses, &targets, 0.125);
    let rows = expected.chunks_mut(v).zip(&targets);
    let expected_losses: Vec<f32> =
        rows.map(|(row, t)| oracle::cross_entropy(row, Some(*t as usize).filter(|_| *t != IGNORED), 0.125)).collect();
    same("losses", &losses, &expected_losses);
    same("gradient of the logits", &found, &expected);

    let (mut found, mut expected, mut losses) = (random(n * v, 1), random(n * v, 1), vec![0.0; n]);
    capped_cross_entropy(&Pool::new(2), &mut found, &mut losses, &targets, 0.125, 3.0);
    let rows = expected.chunks_mut(v).zip(&targets);
    let target = |t: &u32| Some(*t as usize).filter(|_| *t != IGNORED);
    let expected_losses: Vec<f32> =
        rows.map(|(row, t)| oracle::capped_cross_entropy(row, target(t), 0.125, 3.0)).collect();
    same("losses of capped logits", &losses, &expected_losses);
    same("gradient of capped logits", &found, &expected);
}

#[test]
fn attentions() {
    // The last is cut among threads by its keys.
    let shapes = [(1, 1, 1, 2), (70, 2, 2, 20), (64, 4, 1, 48), (97, 4, 2, 16), (330, 2, 1, 18)];
    let ways = [(1, None), (3, None), (2, Some(0.7))];
    for ((tokens, heads, kv_heads, d), (threads, softcap)) in
        shapes.into_iter().flat_map(|shape| ways.map(|way| (shape, way)))
    {
        let pool = Pool::new(threads);
        let n = 2 * tokens;
        let starts: Vec<u32> = (0..n).map(|i| (i % tokens / 9 * 9 * (i / tokens)) as u32).collect();
        let (q, k, v) = (random(n * heads * d, 1), random(n * kv_heads * d, 2), random(n * kv_heads * d, 3));
        let dout = random(q.len(), 4);
        let shape = AttentionShape { softcap, ..AttentionShape::new(2, tokens, heads, kv_heads, d) };
        let (mut out, mut max, mut sums) = (vec![0.0; q.len()], vec![0.0; n * heads], vec![0.0; n * heads]);
        attention(&pool, &mut out, &mut max, &mut sums, &q, &k, &v, &starts, &shape);
        let expected = oracle::Attention { tokens, heads, kv_heads, d, softcap, starts: &starts, q: &q, k: &k, v: &v };
        same("attention", &out, &expected.forward());
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        attention_backward(&pool, &mut dq, &mut dk, &mut dv, &dout, &q, &k, &v, &out, &max, &sums, &starts, &shape);
        for ((what, found), expected) in [("dq", dq), ("dk", dk), ("dv", dv)].iter().zip(expected.backward(&out, &dout))
        {
            same(what, found, &expected);
        }
    }
}

#[test]
fn the_optimiser() {
    let rule = AdamW {
        learning_rate: 3e-3,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        step: 7,
        gradient_scale: 0.7,
    };
    let expected = oracle::AdamW { rate: 3e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1, step: 7, clip: 0.7 };
    let n = 1003;
    let (w, g, m) = (random(n, 1), random(n, 2), random(n, 3));
    let v: Vec<f32> = random(n, 4).iter().map(|x| x * x).collect();
    let (mut w1, mut m1, mut v1) = (w.clone(), m.clone(), v.clone());
    rule.update(&Pool::new(2), &mut w1, &g, &mut m1, &mut v1);
    let (mut w2, mut m2, mut v2) = (w, m, v);
    for i in 0..n {
        expected.update(&mut w2[i], g[i], &mut m2[i], &mut v2[i]);
    }
    same("weights", &w1, &w2);
    same("first moment", &m1, &m2);
    same("second moment", &v1, &v2);
}
