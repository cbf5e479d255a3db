//! The forward pass of all families in plain loops and f64, from the
//! definitions of `transformers`: the yardstick of what is fast.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use kwaya_math::half;
use kwaya_model::{Activation, Architecture, Source};

/// A model with all of its weights as numbers.
pub(crate) struct Oracle {
    pub(crate) architecture: Architecture,
    /// Whether keys and values are rounded to f16, as the decoder keeps them.
    pub(crate) half: bool,
    tensors: BTreeMap<String, Vec<f64>>,
}

impl Oracle {
    pub(crate) fn new(source: &Source) -> Self {
        let architecture = source.architecture().clone();
        let values = |name: &str| source.tensor(name).unwrap().values().into_iter().map(f64::from).collect();
        let tensors = architecture.tensors().into_iter().map(|(name, _)| (values(&name), name));
        Self { tensors: tensors.map(|(values, name)| (name, values)).collect(), architecture, half: false }
    }

    /// The logits after each of `tokens`.
    pub(crate) fn logits(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let a = &self.architecture;
        let table = &self.tensors["model.embed_tokens.weight"];
        let mut stream: Vec<Vec<f64>> = tokens
            .iter()
            .map(|&token| {
                let row = &table[token as usize * a.hidden..][..a.hidden];
                row.iter().map(|x| x * f64::from(a.embedding_scale)).collect()
            })
            .collect();
        for layer in 0..a.layers.len() {
            let attended = self.attention(layer, &stream);
            for (x, mut out) in stream.iter_mut().zip(attended) {
                if a.post_norms {
                    out = self.norm(&out, &format!("model.layers.{layer}.post_attention_layernorm.weight"));
                }
                add(x, &out);
                let mut out = self.feed_forward(layer, x);
                if a.post_norms {
                    out = self.norm(&out, &format!("model.layers.{layer}.post_feedforward_layernorm.weight"));
                }
                add(x, &out);
            }
        }
        let head = if a.tied { "model.embed_tokens" } else { "lm_head" };
        let logits = |x: &Vec<f64>| {
            let logits = self.linear(&self.norm(x, "model.norm.weight"), head);
            logits.into_iter().map(|logit| capped(logit, a.logit_softcap)).collect()
        };
        stream.iter().map(logits).collect()
    }

    /// The `count` tokens after `tokens`, always the likeliest.
    pub(crate) fn greedy(&self, tokens: &[u32], count: usize) -> Vec<u32> {
        let mut text = tokens.to_vec();
        for _ in 0..count {
            let logits = self.logits(&text).pop().unwrap();
            let best = (0..logits.len()).max_by(|&i, &j| logits[i].total_cmp(&logits[j])).unwrap();
            text.push(best as u32);
        }
        text.split_off(tokens.len())
    }

    fn attention(&self, layer: usize, stream: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let a = &self.architecture;
        let name = |part: &str| format!("model.layers.{layer}.self_attn.{part}");
        let (window, d) = (a.layers[layer].window.unwrap_or(usize::MAX), a.head_dim);
        let frequencies = a.ropes[a.layers[layer].rope].inverse_frequencies(d);
        let (mut queries, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (position, x) in stream.iter().enumerate() {
            let x = self.norm(x, &format!("model.layers.{layer}.input_layernorm.weight"));
            let project = |part: &str, norm: &str| -> Vec<Vec<f64>> {
                let all = self.linear(&x, &name(part));
                let heads = all.chunks(d).map(|head| match a.qk_norm {
                    true if !norm.is_empty() => self.norm(head, &name(norm)),
                    _ => head.to_vec(),
                });
                heads.collect()
            };
            let turned = |heads: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
                heads.iter().map(|head| turn(head, position, &frequencies)).collect()
            };
            queries.push(turned(project("q_proj", "q_norm.weight")));
            keys.push(self.kept(turned(project("k_proj", "k_norm.weight"))));
            values.push(self.kept(project("v_proj", "")));
        }
        let attend = |position: usize| {
            let seen = (position + 1).saturating_sub(window)..position + 1;
            let mut out = Vec::new();
            for (head, query) in queries[position].iter().enumerate() {
                let shared = head / (a.heads / a.kv_heads);
                let score = |at: usize| {
                    let scaled = dot(query, &keys[at][shared]) * f64::from(a.attention_scale);
                    capped(scaled, a.attention_softcap)
                };
                let scores: Vec<f64> = seen.clone().map(score).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let sum: f64 = weights.iter().sum();
                out.extend((0..d).map(|i| {
                    let terms = weights.iter().zip(seen.clone()).map(|(weight, at)| weight * values[at][shared][i]);
                    terms.sum::<f64>() / sum
                }));
            }
            self.linear(&out, &name("o_proj"))
        };
        (0..stream.len()).map(attend).collect()
    }

    fn kept(&self, heads: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let round = |x: f64| if self.half { f64::from(half::widen(half::narrow(x as f32))) } else { x };
        heads.into_iter().map(|head| head.into_iter().map(round).collect()).collect()
    }

    fn feed_forward(&self, layer: usize, x: &[f64]) -> Vec<f64> {
        let a = &self.architecture;
        let norm = if a.post_norms { "pre_feedforward_layernorm" } else { "post_attention_layernorm" };
        let x = self.norm(x, &format!("model.layers.{layer}.{norm}.weight"));
        let name = |part: &str| format!("model.layers.{layer}.mlp.{part}_proj");
        let (gate, up) = (self.linear(&x, &name("gate")), self.linear(&x, &name("up")));
        let activated: Vec<f64> = gate.iter().zip(up).map(|(&gate, up)| activation(a.activation, gate) * up).collect();
        self.linear(&activated, &name("down"))
    }

    /// W x, and + b where there is one.
    fn linear(&self, x: &[f64], name: &str) -> Vec<f64> {
        let mut out: Vec<f64> =
            self.tensors[&format!("{name}.weight")].chunks(x.len()).map(|row| dot(row, x)).collect();
        if let Some(bias) = self.tensors.get(&format!("{name}.bias")) {
            add(&mut out, bias);
        }
        out
    }

    fn norm(&self, x: &[f64], weight: &str) -> Vec<f64> {
        let inverse = 1.0 / (dot(x, x) / x.len() as f64 + f64::from(self.architecture.rms_eps)).sqrt();
        x.iter().zip(&self.tensors[weight]).map(|(x, weight)| x * inverse * weight).collect()
    }
}

fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
    }
}

fn capped(x: f64, cap: Option<f32>) -> f64 {
    cap.map_or(x, |cap| f64::from(cap) * (x / f64::from(cap)).tanh())
}

/// Element i of a head turns with element i + half. The angle is in f32, as
/// models are trained.
fn turn(head: &[f64], position: usize, frequencies: &[f32]) -> Vec<f64> {
    let half = frequencies.len();
    let mut out = head.to_vec();
    for (i, frequency) in frequencies.iter().enumerate() {
        let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
        out[i] = head[i] * cos - head[i + half] * sin;
        out[i + half] = head[i + half] * cos + head[i] * sin;
    }
    out
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
