//! A model as it answers: any [`Architecture`], weights packed in the numbers
//! of their file, and a forward pass over rows of many conversations at once.
//!
//! Each row's result depends on its own conversation alone: a product's
//! output is a sum of its own (`kwaya_math::project`), and attention sees the
//! row's own pages. So an answer does not depend on what else is in the batch,
//! on how a prompt is cut, or on threads.

use kwaya_base::{Error, Result};
use kwaya_math::{
    Arena, CacheAttention, Direction, NotFinite, Packed, Pages, Pool, RopeTable, Rounded, Row, add_assign, add_to_rows,
    blocks::dequantise, geglu, project, rms_norm, rope, scale, softcap, swiglu,
};

use crate::{
    architecture::{self, Activation, Architecture},
    source::Source,
};

/// A model ready to answer.
pub struct Decoder {
    source: Source,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Packed,
    /// The rows of an embedding that is not the head too, once the files were
    /// let go.
    embedding: Option<Vec<u8>>,
}

struct Layer {
    input_norm: Vec<f32>,
    query: Packed,
    key: Packed,
    value: Packed,
    /// Of query, key and value, where the family has them.
    biases: Option<[Vec<f32>; 3]>,
    /// Of each head of query and key, where the family has them.
    head_norms: Option<[Vec<f32>; 2]>,
    output: Packed,
    /// After attention and after the feed-forward layers, where the family
    /// has them.
    post_norms: Option<[Vec<f32>; 2]>,
    feed_forward_norm: Vec<f32>,
    gate: Packed,
    up: Packed,
    down: Packed,
}

/// Bytes that packing may leave between two matrices of weights, and within one.
const BETWEEN: usize = 512;

/// The bytes of all packed weights.
fn room(source: &Source) -> Result<usize> {
    let a = source.architecture();
    let mut bytes = 0;
    for (name, shape) in a.tensors().iter().filter(|(name, _)| a.tied || name != architecture::EMBEDDING) {
        let &[rows, cols] = &shape[..] else { continue };
        bytes += Packed::bytes_of(source.tensor(name)?.format, rows, cols) as usize + BETWEEN;
    }
    Ok(bytes)
}

impl Decoder {
    /// Packs the weights of `source`, after it was checked.
    ///
    /// # Errors
    /// What [`Source::check`] says, and `model-not-finite` for a tensor with
    /// a scale that is no finite number.
    pub fn load(source: Source, pool: &Pool) -> Result<Self> {
        source.check()?;
        let mut arena = Arena::with_bytes(room(&source)?);
        let mut packed = |name: &str| {
            let view = source.tensor(name)?;
            Packed::new(pool, &mut arena, view.format, (view.rows, view.cols), |i| view.row(i))
                .map_err(|NotFinite| Error::new("model-not-finite").path(source.path()).arg("tensor", name))
        };
        let vector = |name: &str| Ok::<_, Error>(source.tensor(name)?.values());
        let a = source.architecture();
        let layers = (0..a.layers.len()).map(|layer| {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            let mut packed = |part: &str| packed(&name(&format!("{part}.weight")));
            let norm = |part: &str| vector(&name(&format!("{part}.weight")));
            let bias = |part: &str| vector(&name(&format!("self_attn.{part}.bias")));
            let when = |wanted: bool, make: &dyn Fn() -> Result<[Vec<f32>; 2]>| wanted.then(make).transpose();
            let (after, before) = if a.post_norms {
                ("post_feedforward_layernorm", "pre_feedforward_layernorm")
            } else {
                ("", "post_attention_layernorm")
            };
            Ok(Layer {
                input_norm: norm("input_layernorm")?,
                query: packed("self_attn.q_proj")?,
                key: packed("self_attn.k_proj")?,
                value: packed("self_attn.v_proj")?,
                biases: a
                    .qkv_bias
                    .then(|| Ok::<_, Error>([bias("q_proj")?, bias("k_proj")?, bias("v_proj")?]))
                    .transpose()?,
                head_norms: when(a.qk_norm, &|| Ok([norm("self_attn.q_norm")?, norm("self_attn.k_norm")?]))?,
                output: packed("self_attn.o_proj")?,
                post_norms: when(a.post_norms, &|| Ok([norm("post_attention_layernorm")?, norm(after)?]))?,
                feed_forward_norm: norm(before)?,
                gate: packed("mlp.gate_proj")?,
                up: packed("mlp.up_proj")?,
                down: packed("mlp.down_proj")?,
            })
        });
        let layers = layers.collect::<Result<_>>()?;
        let (norm, head) = (vector(architecture::NORM)?, packed(architecture::HEAD)?);
        Ok(Self { layers, norm, head, source, embedding: None })
    }

    /// Copies what it still reads from its files, and gives the memory back
    /// that mapping them took: whatever becomes of the files, the answers stay
    /// the same.
    pub fn let_go_of_files(&mut self) {
        if self.embedding.is_none() && !self.architecture().tied {
            let table = self.source.tensor(architecture::EMBEDDING).expect("checked when it was loaded");
            let mut rows = Vec::with_capacity(table.bytes());
            (0..table.rows).for_each(|row| rows.extend_from_slice(table.row(row)));
            self.embedding = Some(rows);
        }
        self.source.let_go();
    }

    /// What it computes.
    pub fn architecture(&self) -> &Architecture {
        self.source.architecture()
    }

    /// The files that it came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Bytes of weights that a token reads: all but the embedding table,
    /// unless that is the head too.
    pub fn bytes_per_token(&self) -> usize {
        let layer = |l: &Layer| [&l.query, &l.key, &l.value, &l.output, &l.gate, &l.up, &l.down].map(Packed::bytes);
        self.layers.iter().flat_map(layer).sum::<usize>() + self.head.bytes()
    }

    /// Pages for conversations with this model, none yet.
    pub(crate) fn pages(&self) -> Pages {
        let a = self.architecture();
        Pages::new(a.layers.len(), a.kv_heads, a.head_dim)
    }

    /// Reads `tokens`, each at its row's place, writes their keys and values
    /// to `pages`, and leaves the residual stream of each row in
    /// `buffers.x` (N, C).
    pub(crate) fn read(&self, tokens: &[u32], rows: &[Row<'_>], pages: &mut Pages, buffers: &mut Buffers, pool: &Pool) {
        let a = self.architecture();
        let (n, c, q, k, f) = (tokens.len(), a.hidden, a.query_size(), a.key_value_size(), a.intermediate);
        let b = buffers.fit(a, rows);
        let (x, norm, inverse) = (&mut b.x[..n * c], &mut b.norm[..n * c], &mut b.inverse[..n * a.heads]);
        let branch = &mut b.branch[..n * c];
        let (query, attended) = (&mut b.query[..n * q], &mut b.attended[..n * q]);
        let (key, value) = (&mut b.key[..n * k], &mut b.value[..n * k]);
        let (gate, up) = (&mut b.gate[..n * f], &mut b.up[..n * f]);
        let (positions, rounded) = (&b.positions[..n], &mut b.rounded);
        let head_normed = &mut b.head_normed[..if a.qk_norm { n * q } else { 0 }];

        self.embed(tokens, x);
        if a.embedding_scale != 1.0 {
            scale(pool, x, a.embedding_scale);
        }
        for (layer, (weights, sees)) in self.layers.iter().zip(&a.layers).enumerate() {
            rms_norm(pool, norm, &mut inverse[..n], x, &weights.input_norm, a.rms_eps);
            project(
                pool,
                norm,
                n,
                rounded,
                &mut [(&weights.query, query), (&weights.key, key), (&weights.value, value)],
            );
            if let Some(biases) = &weights.biases {
                for (out, bias) in [&mut *query, key, value].into_iter().zip(biases) {
                    add_to_rows(pool, out, bias);
                }
            }
            if let Some([of_query, of_key]) = &weights.head_norms {
                for (out, weight) in [(&mut *query, of_query), (&mut *key, of_key)] {
                    let (normed, heads) = (&mut head_normed[..out.len()], out.len() / a.head_dim);
                    rms_norm(pool, normed, &mut inverse[..heads], out, weight, a.rms_eps);
                    out.copy_from_slice(normed);
                }
            }
            rope(pool, query, a.heads, &b.ropes[sees.rope], positions, Direction::Forward);
            rope(pool, key, a.kv_heads, &b.ropes[sees.rope], positions, Direction::Forward);
            pages.write(pool, layer, rows, key, value);
            let options = CacheAttention {
                heads: a.heads,
                scale: a.attention_scale,
                softcap: a.attention_softcap,
                window: sees.window,
            };
            pages.attention(pool, attended, query, layer, rows, &options);
            project(pool, attended, n, rounded, &mut [(&weights.output, branch)]);
            let [after_attention, after_feed_forward] = match &weights.post_norms {
                Some([first, second]) => [Some(first), Some(second)],
                None => [None, None],
            };
            add_branch(pool, x, branch, after_attention, norm, &mut inverse[..n], a.rms_eps);

            rms_norm(pool, norm, &mut inverse[..n], x, &weights.feed_forward_norm, a.rms_eps);
            project(pool, norm, n, rounded, &mut [(&weights.gate, gate), (&weights.up, up)]);
            let activated = &mut b.activated[..n * f];
            match a.activation {
                Activation::Silu => swiglu(pool, activated, gate, up),
                Activation::GeluTanh => geglu(pool, activated, gate, up),
            }
            project(pool, activated, n, rounded, &mut [(&weights.down, branch)]);
            add_branch(pool, x, branch, after_feed_forward, norm, &mut inverse[..n], a.rms_eps);
        }
    }

    /// The rows of the embedding for `tokens`, into x (N, C). Where the table is
    /// the head too, they are read out of that.
    fn embed(&self, tokens: &[u32], x: &mut [f32]) {
        let rows = x.chunks_mut(self.architecture().hidden).zip(tokens.iter().map(|token| *token as usize));
        if self.architecture().tied {
            return rows.for_each(|(x, token)| self.head.read_row(token, x));
        }
        let table = self.source.tensor(architecture::EMBEDDING).expect("checked when it was loaded");
        let length = table.bytes() / table.rows;
        for (x, token) in rows {
            let copied = self.embedding.as_ref().map(|rows| &rows[token * length..][..length]);
            dequantise(table.format, copied.unwrap_or_else(|| table.row(token)), x);
        }
    }

    /// The states (N, C) of the rows of the last [`Decoder::read`], of which
    /// there were `n`, as the head sees them.
    pub(crate) fn states<'b>(&self, n: usize, buffers: &'b mut Buffers, pool: &Pool) -> &'b [f32] {
        let a = self.architecture();
        let Buffers { x, norm, inverse, .. } = buffers;
        let norm = &mut norm[..n * a.hidden];
        rms_norm(pool, norm, &mut inverse[..n], &x[..n * a.hidden], &self.norm, a.rms_eps);
        norm
    }

    /// The logits (rows, V) after the rows of the last [`Decoder::read`] that
    /// are named.
    pub(crate) fn head(&self, rows: &[usize], buffers: &mut Buffers, logits: &mut [f32], pool: &Pool) {
        let (a, n) = (self.architecture(), rows.len());
        let c = a.hidden;
        let Buffers { x, branch, norm, inverse, rounded, .. } = buffers;
        let (last, norm) = (&mut branch[..n * c], &mut norm[..n * c]);
        for (last, row) in last.chunks_mut(c).zip(rows) {
            last.copy_from_slice(&x[row * c..][..c]);
        }
        rms_norm(pool, norm, &mut inverse[..n], last, &self.norm, a.rms_eps);
        project(pool, norm, n, rounded, &mut [(&self.head, logits)]);
        if let Some(cap) = a.logit_softcap {
            softcap(pool, logits, cap);
        }
    }
}

/// x += branch, or its norm.
fn add_branch(
    pool: &Pool,
    x: &mut [f32],
    branch: &[f32],
    post_norm: Option<&Vec<f32>>,
    norm: &mut [f32],
    inverse: &mut [f32],
    epsilon: f32,
) {
    match post_norm {
        None => add_assign(pool, x, branch),
        Some(weight) => {
            rms_norm(pool, norm, inverse, branch, weight, epsilon);
            add_assign(pool, x, norm);
        }
    }
}

/// Room for a batch of rows, kept from one to the next.
#[derive(Default)]
pub(crate) struct Buffers {
    positions: Vec<u32>,   // (N)
    x: Vec<f32>,           // (N, C) the residual stream
    norm: Vec<f32>,        // (N, C)
    branch: Vec<f32>,      // (N, C)
    inverse: Vec<f32>,     // (N, heads)
    query: Vec<f32>,       // (N, Q)
    key: Vec<f32>,         // (N, K)
    value: Vec<f32>,       // (N, K)
    head_normed: Vec<f32>, // (N, Q)
    attended: Vec<f32>,    // (N, Q)
    gate: Vec<f32>,        // (N, F)
    up: Vec<f32>,          // (N, F)
    activated: Vec<f32>,   // (N, F)
    rounded: Rounded,
    ropes: Vec<RopeTable>,
}

impl Buffers {
    /// Makes room for `rows`, and notes their positions.
    fn fit(&mut self, a: &Architecture, rows: &[Row<'_>]) -> &mut Self {
        let n = rows.len();
        let (c, q, k, f) = (a.hidden, a.query_size(), a.key_value_size(), a.intermediate);
        for (buffer, width) in [
            (&mut self.x, c),
            (&mut self.norm, c),
            (&mut self.branch, c),
            (&mut self.inverse, a.heads),
            (&mut self.query, q),
            (&mut self.key, k),
            (&mut self.value, k),
            (&mut self.head_normed, if a.qk_norm { q } else { 0 }),
            (&mut self.attended, q),
            (&mut self.gate, f),
            (&mut self.up, f),
            (&mut self.activated, f),
        ] {
            if buffer.len() < n * width {
                *buffer = kwaya_math::zeros(n * width);
            }
        }
        self.positions.clear();
        self.positions.extend(rows.iter().map(|row| row.position as u32));
        let needed = rows.iter().map(|row| row.position + 1).max().unwrap_or(0);
        // A model may claim to read far longer texts than it is given: tables
        // grow with the texts.
        if self.ropes.first().is_none_or(|table| table.positions() < needed) {
            let positions = needed.next_power_of_two().max(256).min(a.context);
            let table = |rope: &architecture::Rope| RopeTable::of(&rope.inverse_frequencies(a.head_dim), positions);
            self.ropes = a.ropes.iter().map(table).collect();
        }
        self
    }
}
