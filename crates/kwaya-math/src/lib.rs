//! Numerics for training language models on ordinary processors, with the
//! same bits on every one of them.
//!
//! Three rules make the bits: an output of a matrix product is one
//! accumulator that goes over `k` in order with fused multiply-add; a
//! reduction has 16 lanes and a fixed tree; elementary functions are our own.
//! Blocks, vector widths and threads are free to change, because none of them
//! touches those three. The head of each module has its part of it.
//!
//! Matrix products may take their operands rounded to bfloat16
//! ([`Precision::Bf16`]), which is a second arithmetic with bits of its own.
//!
//! Everything works on row-major `f32` slices with the shapes stated, checks
//! their lengths before it starts, and panics with the operation's name and
//! both shapes when they do not fit: that is a mistake of the caller.

mod attention;
pub mod blocks;
mod caches;
mod codes;
mod cross_entropy;
mod dots;
mod gates;
pub mod half;
mod halves;
mod isa;
mod layers;
pub mod limits;
mod matmul;
mod memory;
mod pack;
mod packed;
mod paged;
mod pages;
pub mod philox;
mod pool;
mod reduce;
pub mod scalar;
mod tile;
mod vector;

pub use attention::{AttentionShape, attention, attention_backward};
pub use blocks::Format;
pub use cross_entropy::{IGNORED, capped_cross_entropy, cross_entropy_loss, softmax, softmax_cross_entropy};
pub use dots::dots;
pub use gates::{geglu, geglu_backward, swiglu, swiglu_backward};
pub use isa::{IsaError, check_isa, isa, isas};
pub use layers::{
    AdamW, Direction, RopeTable, add_assign, add_to_rows, add_to_rows_backward, embedding, embedding_backward,
    rms_norm, rms_norm_again, rms_norm_backward, rope, scale, softcap,
};
pub use matmul::{Matrix, Start, matmul, matmul_two};
pub use memory::{Arena, zeros};
pub use packed::{NotFinite, Packed, Rounded, project};
pub use paged::CacheAttention;
pub use pages::{PAGE, Pages, Row};
pub use pool::Pool;
pub use reduce::{sum, sum_squares};
pub use tile::Precision;
