//! The transformer: a Llama-family decoder with a hand-written backward pass,
//! generation with a key/value cache, and Hugging Face folders in and out.
//!
//! Llama (Touvron et al. 2023, <https://arxiv.org/abs/2302.13971>) is the
//! pre-norm transformer of Vaswani et al. 2017 with RMS norms, rotary
//! positions, SwiGLU and grouped-query attention. It is the architecture that
//! every engine reads, which is why Kwaya builds no other. Models of its
//! relatives are read, and adapters are learned beside them: an [`Architecture`]
//! says as data in what they differ, and a [`Source`] has their weights, from
//! safetensors or GGUF.
//!
//! The shape alphabet of this crate: `N` positions of a batch (rows times
//! tokens per row), `C` hidden size, `Q` heads x head size, `K` key/value
//! heads x head size, `F` feed-forward size, `V` vocabulary size. Buffers are
//! row-major f32. Weights are (out, in), as in PyTorch.

mod activations;
mod architecture;
mod backward;
mod config;
mod conversations;
mod decoder;
mod forward;
pub mod gguf;
mod lora;
mod model;
mod network;
mod peft;
pub mod quantise;
mod sampler;
mod source;
pub mod tensors;

pub use activations::{Activations, Batch, Keep};
pub use architecture::{Activation, Architecture, EMBEDDING, Family, HEAD, LayerAttention, Rope, RopeScaling};
pub use backward::forward_backward;
pub use config::Config;
pub use conversations::{Conversation, Conversations, shares};
pub use decoder::Decoder;
pub use forward::{logits, loss};
pub use gguf::{Gguf, GgufTensor};
/// A target that counts for nothing: loss 0, gradient 0.
pub use kwaya_math::{IGNORED, Precision};
pub use lora::{Adapters, Lora, Target, Tokens};
pub use model::{Model, Tensor};
pub use network::{Frozen, Network};
pub use peft::{ADAPTER_FILES, peft_base};
pub use sampler::{Sampler, SamplerOptions};
pub use source::{Layout, Source, View};
