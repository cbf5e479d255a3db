//! The second engine: `docs/arithmetic.md` in plain loops, section by section,
//! without blocks, vectors, threads or anything of the first. The tests hold
//! the two against each other, bit for bit.
#![allow(dead_code, clippy::many_single_char_names, clippy::too_many_arguments, reason = "names of the document")]

// 2. Sums

pub(crate) fn chain(start: f32, terms: impl Iterator<Item = (f32, f32)>) -> f32 {
    terms.fold(start, |s, (x, y)| x.mul_add(y, s))
}

fn tree(mut lanes: [f32; 16]) -> f32 {
    for h in [8, 4, 2, 1] {
        for i in 0..h {
            lanes[i] += lanes[i + h];
        }
    }
    lanes[0]
}

pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    x.iter().enumerate().for_each(|(i, x)| lanes[i % 16] += x);
    tree(lanes)
}

pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    for (i, (x, y)) in x.iter().zip(y).enumerate() {
        lanes[i % 16] = x.mul_add(*y, lanes[i % 16]);
    }
    tree(lanes)
}

pub(crate) fn sum_squares(x: &[f32]) -> f32 {
    sum(&x.chunks(65_536).map(|run| dot(run, run)).collect::<Vec<_>>())
}

fn max(x: impl IntoIterator<Item = f32>) -> f32 {
    x.into_iter().fold(f32::NEG_INFINITY, |m, x| if x > m { x } else { m })
}

// 3. Functions

fn horner(r: f32, coefficients: &[f32]) -> f32 {
    coefficients[1..].iter().fold(coefficients[0], |p, c| p.mul_add(r, *c))
}

fn horner64(r: f64, coefficients: &[f64]) -> f64 {
    coefficients[1..].iter().fold(coefficients[0], |p, c| p.mul_add(r, *c))
}

/// 2^n, by doubling and halving, which is exact.
fn power_of_two(n: i32) -> f32 {
    (0..n.abs()).fold(1.0, |p, _| if n < 0 { p / 2.0 } else { p * 2.0 })
}

pub(crate) fn exp(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    if x < -87.336_54 {
        return 0.0;
    }
    if x > 88.722_84 {
        return f32::INFINITY;
    }
    let rounder = 12_582_912.0_f32;
    let n = x.mul_add(std::f32::consts::LOG2_E, rounder) - rounder;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let p = horner(r, &[1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
    let p = p.mul_add(r * r, r) + 1.0;
    let n = n as i32;
    let half = n.div_euclid(2);
    p * power_of_two(half) * power_of_two(n - half)
}

pub(crate) fn log(x: f32) -> f32 {
    if x.is_nan() || x == f32::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f32::NAN;
    }
    if x < f32::MIN_POSITIVE {
        return f32::NEG_INFINITY;
    }
    let (mut m, mut e) = (x, 0.0_f32);
    let root = f32::from_bits(0x3f35_04f3);
    while m < root {
        (m, e) = (m * 2.0, e - 1.0);
    }
    while m >= 2.0 * root {
        (m, e) = (m / 2.0, e + 1.0);
    }
    let t = m - 1.0;
    let p = horner(
        t,
        &[
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_87e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let q = t * t;
    let low = e.mul_add(-2.121_944_4e-4, p * t * q);
    e.mul_add(0.693_359_4, q.mul_add(-0.5, low) + t)
}

pub(crate) fn tanh(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    let (a, q) = (x.abs(), x * x);
    let size = if a < 0.625 {
        let p = horner(q, &[-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1]);
        (p * q).mul_add(a, a)
    } else {
        1.0 - 2.0 / (exp(2.0 * a) + 1.0)
    };
    size.copysign(x)
}

pub(crate) fn exp2(x: f64) -> f64 {
    let n = x.round_ties_even();
    let r = (x - n) * std::f64::consts::LN_2;
    let mut p = 1.0;
    for k in (1..=15).rev() {
        p = p * r / f64::from(k) + 1.0;
    }
    (0..n.abs() as u32).fold(p, |p, _| if n < 0.0 { p / 2.0 } else { p * 2.0 })
}

pub(crate) fn log2(x: f64) -> f64 {
    let (mut m, mut e) = (x, 0.0_f64);
    let root = f64::from_bits(0x3fe6_a09e_667f_3bcd);
    while m < root {
        (m, e) = (m * 2.0, e - 1.0);
    }
    while m >= 2.0 * root {
        (m, e) = (m / 2.0, e + 1.0);
    }
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let mut a = 0.0_f64;
    for k in (0..=13).rev() {
        a = a.mul_add(q, 1.0 / f64::from(2 * k + 1));
    }
    (2.0 * s * a).mul_add(std::f64::consts::LOG2_E, e)
}

pub(crate) fn sin(x: f64) -> f64 {
    turned(x, 0)
}

pub(crate) fn cos(x: f64) -> f64 {
    turned(x, 1)
}

fn turned(x: f64, quarter_turns: i64) -> f64 {
    let n = (x * std::f64::consts::FRAC_2_PI).round_ties_even();
    let r = n.mul_add(-6.077_100_506_506_192e-11, n.mul_add(-1.570_796_326_734_125_6, x));
    let q = r * r;
    let sine = {
        let p = horner64(
            q,
            &[
                1.589_690_995_211_55e-10,
                -2.505_076_025_340_686_3e-8,
                2.755_731_370_707_007e-6,
                -1.984_126_982_985_795e-4,
                8.333_333_333_322_49e-3,
                -1.666_666_666_666_663_2e-1,
            ],
        );
        (p * q).mul_add(r, r)
    };
    let cosine = {
        let p = horner64(
            q,
            &[
                -1.135_964_755_778_819_5e-11,
                2.087_572_321_298_175e-9,
                -2.755_731_435_139_066_3e-7,
                2.480_158_728_947_673e-5,
                -1.388_888_888_887_411e-3,
                4.166_666_666_666_66e-2,
            ],
        );
        (p * q).mul_add(q, q.mul_add(-0.5, 1.0))
    };
    [sine, cosine, -sine, -cosine][(n as i64 + quarter_turns).rem_euclid(4) as usize]
}

pub(crate) fn powi(mut x: f64, n: u64) -> f64 {
    let mut a = 1.0;
    for bit in 0..64 - n.leading_zeros() {
        if n >> bit & 1 == 1 {
            a *= x;
        }
        x *= x;
    }
    a
}

// 4. Random numbers

pub(crate) fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let (a, b) = (u64::from(c0) * 0xD251_1F53, u64::from(c2) * 0xCD9E_8D57);
        (c0, c1, c2, c3) = ((b >> 32) as u32 ^ c1 ^ k0, b as u32, (a >> 32) as u32 ^ c3 ^ k1, a as u32);
        (k0, k1) = (k0.wrapping_add(0x9E37_79B9), k1.wrapping_add(0xBB67_AE85));
    }
    [c0, c1, c2, c3]
}

fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// Word `place` of a stream.
fn word(seed: u64, stage: u32, index: u64, place: u32) -> u32 {
    let [low, high] = halves(index);
    philox([place / 4, stage, low, high], halves(seed))[place as usize % 4]
}

fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

pub(crate) fn permute(seed: u64, stage: u32, epoch: u64, n: u64, i: u64) -> u64 {
    let b = (64 - (n - 1).leading_zeros()).div_ceil(2).max(1);
    let low = |x: u64| x & ((1 << b) - 1);
    let (mut left, mut right) = (i >> b, low(i));
    for k in 0..8 {
        let [epoch_low, epoch_high] = halves(epoch);
        let f = philox([right as u32, stage, epoch_low, epoch_high ^ k << 24], halves(seed))[0];
        (left, right) = (right, left ^ low(f.into()));
    }
    let value = left << b | right;
    if value < n { value } else { permute(seed, stage, epoch, n, value) }
}

pub(crate) fn normal(n: usize, deviation: f32, seed: u64, stage: u32) -> Vec<f32> {
    let value = |i: usize| {
        let (stream, pair) = (i / 1024, i % 1024 / 2);
        let next = |k: usize| uniform(word(seed, stage, stream as u64, (2 * pair + k) as u32));
        let radius = (-2.0 * log(1.0 - next(0))).sqrt() * deviation;
        let angle = f64::from(next(1)) * std::f64::consts::TAU;
        radius * (if i.is_multiple_of(2) { cos(angle) } else { sin(angle) }) as f32
    };
    (0..n).map(value).collect()
}

// 5. Matrix products

/// What numbers products are made of.
#[derive(Clone, Copy)]
pub(crate) enum Numbers {
    F32,
    Bf16,
}

impl Numbers {
    fn chain(self, start: f32, terms: impl Iterator<Item = (f32, f32)>) -> f32 {
        match self {
            Self::F32 => chain(start, terms),
            Self::Bf16 => pairs(start, &terms.map(|(x, y)| (bf16(x), bf16(y))).collect::<Vec<_>>()),
        }
    }
}

/// Rounded to bfloat16, as f32.
pub(crate) fn bf16(x: f32) -> f32 {
    if !x.is_finite() {
        return x;
    }
    let x = flush(x);
    // Between its two neighbours with 8 bits.
    let low = f32::from_bits(x.to_bits() & 0xffff_0000);
    let high = f32::from_bits((x.to_bits() & 0xffff_0000).wrapping_add(0x1_0000));
    let (below, above) = ((f64::from(x) - f64::from(low)).abs(), (f64::from(high) - f64::from(x)).abs());
    // Beyond the largest number lies 2^128 for this.
    let above = if high.is_finite() { above } else { (2.0_f64.powi(128) - f64::from(x).abs()).abs() };
    let even = low.to_bits() >> 16 & 1 == 0;
    if below < above || (below == above && even) { low } else { high }
}

fn flush(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0_f32.copysign(x) } else { x }
}

fn pairs(start: f32, terms: &[(f32, f32)]) -> f32 {
    let add = |s: f32, (x, y): (f32, f32)| flush(x.mul_add(y, flush(s)));
    terms.chunks(2).fold(start, |s, pair| {
        let odd = pair.get(1).copied().unwrap_or((0.0, 0.0));
        add(add(s, odd), pair[0])
    })
}

/// out (m, n) = the chains from `out` of a (m, k) and b (n, k): a Bᵗ.
pub(crate) fn product_t(out: &mut [f32], a: &[f32], b: &[f32], k: usize, numbers: Numbers) {
    let n = b.len() / k;
    for (i, out) in out.iter_mut().enumerate() {
        let (a, b) = (&a[i / n * k..][..k], &b[i % n * k..][..k]);
        *out = numbers.chain(*out, a.iter().copied().zip(b.iter().copied()));
    }
}

/// The same of a (m, k) and b (k, n): A B.
pub(crate) fn product(out: &mut [f32], a: &[f32], b: &[f32], k: usize, numbers: Numbers) {
    let n = b.len() / k;
    for (i, out) in out.iter_mut().enumerate() {
        *out = numbers.chain(*out, (0..k).map(|p| (a[i / n * k + p], b[p * n + i % n])));
    }
}

/// The same of a (k, m) and b (k, n): Aᵗ B.
pub(crate) fn t_product(out: &mut [f32], a: &[f32], b: &[f32], k: usize, numbers: Numbers) {
    let (m, n) = (a.len() / k, b.len() / k);
    for (i, out) in out.iter_mut().enumerate() {
        *out = numbers.chain(*out, (0..k).map(|p| (a[p * m + i / n], b[p * n + i % n])));
    }
}

// 6. Layers

fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt()
}

pub(crate) fn rms_norm(x: &[f32], w: &[f32], epsilon: f32) -> Vec<f32> {
    let row = |x: &[f32]| {
        let i = inverse_rms(x, epsilon);
        x.iter().zip(w).map(|(x, w)| x * i * w).collect::<Vec<_>>()
    };
    x.chunks(w.len()).flat_map(row).collect()
}

/// dx; adds to dw.
pub(crate) fn rms_norm_backward(dw: &mut [f32], dy: &[f32], x: &[f32], w: &[f32], epsilon: f32) -> Vec<f32> {
    let c = w.len();
    let row = |(dy, x): (&[f32], &[f32])| {
        let i = inverse_rms(x, epsilon);
        let g: Vec<f32> = dy.iter().zip(w).map(|(dy, w)| dy * w).collect();
        let s = -(dot(&g, x) * i * i * i / c as f32);
        for (dw, (dy, x)) in dw.iter_mut().zip(dy.iter().zip(x)) {
            *dw = dy.mul_add(x * i, *dw);
        }
        g.iter().zip(x).map(|(g, x)| x.mul_add(s, g * i)).collect::<Vec<_>>()
    };
    dy.chunks(c).zip(x.chunks(c)).flat_map(row).collect()
}

/// `sign` is -1 backwards.
pub(crate) fn rope(x: &mut [f32], heads: usize, theta: f64, positions: &[u32], sign: f32) {
    let width = x.len() / positions.len();
    let d = width / heads;
    for (row, position) in x.chunks_mut(width).zip(positions) {
        for head in row.chunks_mut(d) {
            for j in 0..d / 2 {
                let power = exp2((2 * j) as f64 / d as f64 * log2(theta));
                let angle = f64::from(*position as f32 * (1.0 / power as f32));
                let (c, s) = (cos(angle) as f32, sign * sin(angle) as f32);
                let (a, b) = (head[j], head[j + d / 2]);
                (head[j], head[j + d / 2]) = (a.mul_add(c, -(b * s)), b.mul_add(c, a * s));
            }
        }
    }
}

pub(crate) fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gate.iter().zip(up).map(|(g, u)| g / (1.0 + exp(-g)) * u).collect()
}

/// dgate and dup.
pub(crate) fn geglu_backward(d: &[f32], gate: &[f32], up: &[f32]) -> (Vec<f32>, Vec<f32>) {
    const ROOT: f32 = 0.797_884_6;
    let each = d.iter().zip(gate).zip(up).map(|((d, x), u)| {
        let t = tanh(ROOT * (0.044_715 * x * x).mul_add(*x, *x));
        let slope = ROOT * (3.0 * 0.044_715 * x).mul_add(*x, 1.0);
        let d_gate = d * u * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope);
        (d_gate, d * (0.5 * x * (1.0 + t)))
    });
    each.unzip()
}

pub(crate) fn swiglu_backward(d: &[f32], gate: &[f32], up: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let one = |((d, g), u): ((&f32, &f32), &f32)| {
        let sigmoid = 1.0 / (1.0 + exp(-g));
        (d * u * (sigmoid * (1.0 + g * (1.0 - sigmoid))), d * (g * sigmoid))
    };
    d.iter().zip(gate).zip(up).map(one).unzip()
}

/// Rows of `tokens` positions; head h reads key head h / (heads / kv_heads).
pub(crate) struct Attention<'a> {
    pub(crate) tokens: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) d: usize,
    pub(crate) softcap: Option<f32>,
    pub(crate) starts: &'a [u32],
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
}

impl Attention<'_> {
    /// The first element of head h of query i, and of its key or value j.
    fn query(&self, i: usize, h: usize) -> usize {
        (i * self.heads + h) * self.d
    }

    fn key(&self, j: usize, h: usize) -> usize {
        (j * self.kv_heads + h / (self.heads / self.kv_heads)) * self.d
    }

    /// The keys that query i sees, as rows of `k`, and as positions.
    fn keys(&self, i: usize) -> (std::ops::Range<usize>, usize) {
        let row = i / self.tokens * self.tokens;
        (row + self.starts[i] as usize..i + 1, row)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d as f32).sqrt()
    }

    /// exp(s - m) by position in the row, 0 where not seen; and z.
    fn weights(&self, i: usize, h: usize) -> (Vec<f32>, f32) {
        let (keys, row) = self.keys(i);
        let pairs = |j: usize| (0..self.d).map(move |c| (self.q[self.query(i, h) + c], self.k[self.key(j, h) + c]));
        let score = |j: usize| match self.softcap {
            None => chain(0.0, pairs(j)) * self.scale(),
            Some(cap) => cap * tanh(chain(0.0, pairs(j)) * self.scale() / cap),
        };
        let m = max(keys.clone().map(score));
        let mut p = vec![0.0; self.tokens];
        keys.for_each(|j| p[j - row] = exp(score(j) - m));
        let z = sum(&p);
        (p, z)
    }

    pub(crate) fn forward(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.q.len()];
        for i in 0..self.starts.len() {
            for h in 0..self.heads {
                let ((keys, row), (p, z)) = (self.keys(i), self.weights(i, h));
                for c in 0..self.d {
                    let terms = keys.clone().map(|j| (p[j - row], self.v[self.key(j, h) + c]));
                    out[self.query(i, h) + c] = chain(0.0, terms) / z;
                }
            }
        }
        out
    }

    /// dq, dk, dv.
    pub(crate) fn backward(&self, out: &[f32], dout: &[f32]) -> [Vec<f32>; 3] {
        let d = self.d;
        let (mut dq, mut dk, mut dv) =
            (vec![0.0; self.q.len()], vec![0.0_f32; self.k.len()], vec![0.0_f32; self.v.len()]);
        for h in 0..self.heads {
            for i in 0..self.starts.len() {
                let ((keys, row), (p, z)) = (self.keys(i), self.weights(i, h));
                let at = self.query(i, h);
                let delta = dot(&dout[at..at + d], &out[at..at + d]);
                let share = 1.0 / z;
                let slope = |j: usize| {
                    let e = chain(0.0, (0..d).map(|c| (dout[at + c], self.v[self.key(j, h) + c])));
                    let slope = p[j - row] * share * (e - delta) * self.scale();
                    let Some(cap) = self.softcap else { return slope };
                    let s = chain(0.0, (0..d).map(|c| (self.q[at + c], self.k[self.key(j, h) + c])));
                    let part = tanh(s * self.scale() / cap);
                    slope * (1.0 - part * part)
                };
                let t: Vec<f32> = keys.clone().map(slope).collect();
                for c in 0..d {
                    let terms = keys.clone().zip(&t).map(|(j, t)| (*t, self.k[self.key(j, h) + c]));
                    dq[at + c] = chain(0.0, terms);
                    for (j, t) in keys.clone().zip(&t) {
                        let key = self.key(j, h) + c;
                        dk[key] = t.mul_add(self.q[at + c], dk[key]);
                        dv[key] = (p[j - row] * share).mul_add(dout[at + c], dv[key]);
                    }
                }
            }
        }
        [dq, dk, dv]
    }
}

/// The f16 nearest to `x`, as f32.
pub(crate) fn f16(x: f32) -> f32 {
    let x64 = f64::from(x);
    if !x.is_finite() || x == 0.0 {
        return x;
    }
    // The distance of neighbours, which is that of the denormals at least.
    let mut step = 2.0_f64.powi(-24);
    while x64.abs() >= step * 2048.0 {
        step *= 2.0;
    }
    let rounded = (x64 / step).round_ties_even() * step;
    if rounded.abs() > 65_504.0 { f32::INFINITY.copysign(x) } else { rounded as f32 }
}

/// Attention over a cache: one query of one head over `keys` and `values`,
/// one of each position and rounded, the last of which are its own, from
/// position `first` on.
pub(crate) fn cached(
    q: &[f32],
    keys: &[&[f32]],
    values: &[&[f32]],
    first: usize,
    scale: f32,
    softcap: Option<f32>,
) -> Vec<f32> {
    let scores = keys[first..].iter().map(|key| {
        let s = chain(0.0, q.iter().copied().zip(key.iter().copied())) * scale;
        softcap.map_or(s, |cap| cap * tanh(s / cap))
    });
    let scores: Vec<f32> = scores.collect();
    let m = max(scores.iter().copied());
    let mut p = vec![0.0; first];
    p.extend(scores.iter().map(|s| exp(s - m)));
    let z = sum(&p);
    (0..q.len()).map(|c| chain(0.0, (first..p.len()).map(|j| (p[j], values[j][c]))) / z).collect()
}

/// The loss of one row; the row becomes its gradient.
/// Of a row that a cap has bent.
pub(crate) fn capped_cross_entropy(row: &mut [f32], target: Option<usize>, scale: f32, cap: f32) -> f32 {
    let Some(target) = target else {
        row.fill(0.0);
        return 0.0;
    };
    let m = max(row.iter().copied());
    let exps: Vec<f32> = row.iter().map(|x| exp(x - m)).collect();
    let (z, logit) = (sum(&exps), row[target]);
    let factor = scale / z;
    for (x, e) in row.iter_mut().zip(&exps) {
        *x = e * factor * (1.0 - (*x / cap) * (*x / cap));
    }
    row[target] -= scale * (1.0 - (logit / cap) * (logit / cap));
    log(z) - (logit - m)
}

pub(crate) fn cross_entropy(row: &mut [f32], target: Option<usize>, scale: f32) -> f32 {
    let Some(target) = target else {
        row.fill(0.0);
        return 0.0;
    };
    let (m, logit) = (max(row.iter().copied()), row[target]);
    row.iter_mut().for_each(|x| *x = exp(*x - m));
    let z = sum(row);
    row.iter_mut().for_each(|x| *x *= scale / z);
    row[target] -= scale;
    log(z) - (logit - m)
}

// 8. Training

/// The numbers of AdamW.
pub(crate) struct AdamW {
    pub(crate) rate: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
    pub(crate) decay: f32,
    pub(crate) step: u64,
    pub(crate) clip: f32,
}

impl AdamW {
    pub(crate) fn update(&self, w: &mut f32, g: f32, m: &mut f32, v: &mut f32) {
        let correct = |beta: f32| 1.0 - powi(beta.into(), self.step);
        let rate = (f64::from(self.rate) / correct(self.beta1)) as f32;
        let root = (1.0 / correct(self.beta2).sqrt()) as f32;
        let keep = 1.0 - self.rate * self.decay;
        let g = g * self.clip;
        *m = m.mul_add(self.beta1, (1.0 - self.beta1) * g);
        *v = v.mul_add(self.beta2, (1.0 - self.beta2) * g * g);
        *w = w.mul_add(keep, -(rate * *m / v.sqrt().mul_add(root, self.epsilon)));
    }
}
