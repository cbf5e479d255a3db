//! The gates of feed-forward layers, forward and backward: SwiGLU of Llama and
//! most of its relatives, GeGLU of Gemma.

use crate::{
    isa::kernel,
    layers::by_elements,
    pool::{Pool, Shards},
    scalar,
};

/// `out` = silu(`gate`) * `up`, element by element (Shazeer 2020).
///
/// # Panics
/// When the lengths differ.
pub fn swiglu(pool: &Pool, out: &mut [f32], gate: &[f32], up: &[f32]) {
    forward(pool, out, gate, up, swiglu_part);
}

kernel! {
fn swiglu_part(out: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
        *out = g / (1.0 + scalar::exp(-g)) * u;
    }
}
}

/// Backward of [`swiglu`]; both gradients are overwritten. `out` gets what
/// [`swiglu`] gave, which costs no further pass over memory.
///
/// # Panics
/// When the lengths differ.
pub fn swiglu_backward(
    pool: &Pool,
    dgate: &mut [f32],
    dup: &mut [f32],
    out: &mut [f32],
    dout: &[f32],
    gate: &[f32],
    up: &[f32],
) {
    backward(pool, [dgate, dup, out], dout, gate, up, swiglu_backward_part);
}

kernel! {
fn swiglu_backward_part(dgate: &mut [f32], dup: &mut [f32], out: &mut [f32], dout: &[f32], gate: &[f32], up: &[f32]) {
    for (((((dg, du), out), d), g), u) in dgate.iter_mut().zip(dup).zip(out).zip(dout).zip(gate).zip(up) {
        let whole = 1.0 + scalar::exp(-g);
        let sigmoid = 1.0 / whole;
        let silu = g * sigmoid;
        *out = g / whole * u;
        *du = d * silu;
        *dg = d * u * (sigmoid * (1.0 + g * (1.0 - sigmoid)));
    }
}
}

/// sqrt(2 / pi)
const ROOT: f32 = 0.797_884_6;

/// `out` = gelu(`gate`) * `up`, with the tanh form of gelu (Hendrycks and
/// Gimpel 2016): 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
///
/// # Panics
/// When the shapes do not fit.
pub fn geglu(pool: &Pool, out: &mut [f32], gate: &[f32], up: &[f32]) {
    forward(pool, out, gate, up, geglu_part);
}

kernel! {
fn geglu_part(out: &mut [f32], gate: &[f32], up: &[f32]) {
    for ((out, x), u) in out.iter_mut().zip(gate).zip(up) {
        let inner = ROOT * (0.044_715 * x * x).mul_add(*x, *x);
        *out = 0.5 * x * (1.0 + scalar::tanh(inner)) * u;
    }
}
}

/// Backward of [`geglu`], as [`swiglu_backward`] is that of [`swiglu`].
///
/// # Panics
/// When the lengths differ.
pub fn geglu_backward(
    pool: &Pool,
    dgate: &mut [f32],
    dup: &mut [f32],
    out: &mut [f32],
    dout: &[f32],
    gate: &[f32],
    up: &[f32],
) {
    backward(pool, [dgate, dup, out], dout, gate, up, geglu_backward_part);
}

kernel! {
/// With inner = r (x + 0.044715 x^3) and t = tanh(inner), gelu = 0.5 x (1 + t)
/// has the slope 0.5 (1 + t) + 0.5 x (1 - t^2) r (1 + 3 * 0.044715 x^2).
fn geglu_backward_part(dgate: &mut [f32], dup: &mut [f32], out: &mut [f32], dout: &[f32], gate: &[f32], up: &[f32]) {
    for (((((dg, du), out), d), x), u) in dgate.iter_mut().zip(dup).zip(out).zip(dout).zip(gate).zip(up) {
        let inner = ROOT * (0.044_715 * x * x).mul_add(*x, *x);
        let t = scalar::tanh(inner);
        let slope = ROOT * (3.0 * 0.044_715 * x).mul_add(*x, 1.0);
        *out = 0.5 * x * (1.0 + t) * u;
        *du = d * (0.5 * x * (1.0 + t));
        *dg = d * u * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope);
    }
}
}

/// `part` of pieces of elements.
fn forward(pool: &Pool, out: &mut [f32], gate: &[f32], up: &[f32], part: fn(&mut [f32], &[f32], &[f32])) {
    assert!(out.len() == gate.len() && out.len() == up.len(), "gate: {} and {}", gate.len(), up.len());
    let outs = Shards::new(out);
    by_elements(pool, gate.len(), |range| {
        // SAFETY: pieces are disjoint.
        let out = unsafe { outs.part(range.clone()) };
        part(out, &gate[range.clone()], &up[range]);
    });
}

/// What is written (the gradients of gate and up, and the output) and what is
/// read (the gradient of the output, gate and up).
type BackwardPart = fn(&mut [f32], &mut [f32], &mut [f32], &[f32], &[f32], &[f32]);

/// `part` of pieces of elements.
fn backward(pool: &Pool, written: [&mut [f32]; 3], dout: &[f32], gate: &[f32], up: &[f32], part: BackwardPart) {
    let n = dout.len();
    let fits = written.iter().all(|values| values.len() == n) && gate.len() == n && up.len() == n;
    assert!(fits, "gate, backward: {} and {n}", gate.len());
    let [dgates, dups, outs] = written.map(Shards::new);
    by_elements(pool, n, |range| {
        // SAFETY: pieces are disjoint.
        let [dgate, dup, out] = [&dgates, &dups, &outs].map(|values| unsafe { values.part(range.clone()) });
        part(dgate, dup, out, &dout[range.clone()], &gate[range.clone()], &up[range]);
    });
}
