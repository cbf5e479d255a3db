//! Numerics for training language models on ordinary processors, with the
//! same bits on every one of them.
//!
//! Three rules make the bits: an output of a matrix product is one
//! accumulator that goes over `k` in order with fused multiply-add; a
//! reduction has 16 lanes and a fixed tree; elementary functions are our own.
//! Blocks, vector widths and threads are free to change, because none of them
//! touches those three. `docs/arithmetic.md` has the whole of it.
//!
//! Everything works on row-major `f32` slices with the shapes stated, checks
//! their lengths before it starts, and panics with the operation's name and
//! both shapes when they do not fit: that is a mistake of the caller.

mod isa;
mod matmul;
pub mod philox;
mod pool;
pub mod scalar;

pub use isa::isa;
pub use matmul::{Matrix, Start, matmul};
pub use pool::Pool;
