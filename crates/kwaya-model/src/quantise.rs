//! Which tensor of a GGUF file is stored in which format, chosen as llama.cpp
//! chooses for a model without experts (`llama-quant.cpp`).
//!
//! Norms and other vectors stay F32. Where a mistake costs most, the output
//! and in Q4_K_M some of `attn_v` and `ffn_down`, more bits are spent. Where
//! columns do not fill the blocks, the nearest format of smaller blocks
//! stands in.

use kwaya_math::Format;

/// What a file as a whole is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// All F32.
    F32,
    /// Matrices in F16.
    F16,
    /// Matrices in bfloat16.
    Bf16,
    /// Matrices in 8 bits.
    Q8_0,
    /// Matrices in 4 bits, the output in 6.
    Q4_0,
    /// Matrices in 4 bits, the output and half of the delicate ones in 6.
    Q4KM,
    /// Matrices in 6 bits.
    Q6K,
}

impl Target {
    /// All targets.
    pub const ALL: [Self; 7] = [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q4_0, Self::Q4KM, Self::Q6K];

    /// The name that llama.cpp gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q4KM => "Q4_K_M",
            _ => self.format().name(),
        }
    }

    /// The target with this [`Target::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// Its number under `general.file_type`.
    pub fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Q4KM => 15,
            Self::Q6K => 18,
            Self::Bf16 => 32,
        }
    }

    /// What most of its matrices are stored in.
    fn format(self) -> Format {
        match self {
            Self::F32 => Format::F32,
            Self::F16 => Format::F16,
            Self::Bf16 => Format::Bf16,
            Self::Q8_0 => Format::Q8_0,
            Self::Q4_0 => Format::Q4_0,
            Self::Q4KM => Format::Q4K,
            Self::Q6K => Format::Q6K,
        }
    }

    /// What the tensor `name` of this shape (rows, then columns) is stored in,
    /// in a model of `layers` layers. `tied` says that the embedding is the
    /// output as well. Names are those of GGUF, as `blk.0.attn_v.weight`.
    pub fn of(self, name: &str, shape: &[usize], layers: usize, tied: bool) -> Format {
        // Sizes of 1 on the outside do not make a matrix.
        let dimensions = shape.iter().skip_while(|&&size| size == 1).count();
        if dimensions < 2 || !name.ends_with("weight") || name.contains("_norm.weight") {
            return Format::F32;
        }
        let format = self.format();
        if format.block() == 1 {
            return format;
        }
        let columns = shape[shape.len() - 1];
        let more = if name == "output.weight" || tied && name == "token_embd.weight" {
            format != Format::Q8_0
        } else {
            self == Self::Q4KM && is_delicate(name) && layer(name).is_some_and(|n| more_bits(n, layers))
        };
        let chosen = if more { Format::Q6K } else { format };
        fitting(chosen, columns)
    }
}

/// Whether Q4_K_M spends more bits on some of these.
fn is_delicate(name: &str) -> bool {
    ["attn_v.weight", "attn_qkv.weight", "ffn_down"].into_iter().any(|part| name.contains(part))
}

/// The layer in `blk.LAYER.…`.
fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// The first and last eighth of the layers, and every third between.
fn more_bits(layer: usize, layers: usize) -> bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
}

/// The format itself if `columns` fill its blocks, or what stands in for it.
fn fitting(format: Format, columns: usize) -> Format {
    let smaller = match format {
        Format::Q4K => Format::Q5_0,
        Format::Q6K => Format::Q8_0,
        other => other,
    };
    [format, smaller].into_iter().find(|format| columns.is_multiple_of(format.block())).unwrap_or(Format::F16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formats of the tensors of a model of 30 layers, 576 columns and a
    /// feed-forward size of 1536, as SmolLM2-135M has.
    fn smol(target: Target, name: &str) -> Format {
        let columns = if name.contains("ffn_down") { 1536 } else { 576 };
        target.of(name, &[64, columns], 30, true)
    }

    #[test]
    fn blocks_that_are_not_filled_become_smaller() {
        use Format::{Bf16, F16, F32, Q4_0, Q4K, Q5_0, Q6K, Q8_0};
        for (target, embedding, attention, value, down, last_down) in [
            (Target::F32, F32, F32, F32, F32, F32),
            (Target::F16, F16, F16, F16, F16, F16),
            (Target::Bf16, Bf16, Bf16, Bf16, Bf16, Bf16),
            (Target::Q8_0, Q8_0, Q8_0, Q8_0, Q8_0, Q8_0),
            (Target::Q4_0, Q8_0, Q4_0, Q4_0, Q4_0, Q4_0),
            (Target::Q4KM, Q8_0, Q5_0, Q8_0, Q4K, Q6K),
            (Target::Q6K, Q8_0, Q8_0, Q8_0, Q6K, Q6K),
        ] {
            let name = target.name();
            assert_eq!(smol(target, "token_embd.weight"), embedding, "{name}");
            assert_eq!(smol(target, "blk.3.attn_q.weight"), attention, "{name}");
            assert_eq!(smol(target, "blk.5.attn_v.weight"), value, "{name}");
            assert_eq!(smol(target, "blk.4.ffn_down.weight"), down, "{name}");
            assert_eq!(smol(target, "blk.29.ffn_down.weight"), last_down, "{name}");
            assert_eq!(smol(target, "blk.3.attn_norm.weight"), F32, "{name}");
            assert_eq!(target.of("output_norm.weight", &[576], 30, true), F32);
            assert_eq!(target.of("blk.0.attn_q.bias", &[576], 30, true), F32);
            assert_eq!(Target::from_name(name), Some(target));
        }
    }

    #[test]
    fn more_bits_go_to_the_output_and_to_some_layers() {
        let of = |name: &str, tied| Target::Q4KM.of(name, &[2048, 2048], 16, tied);
        assert_eq!(of("token_embd.weight", true), Format::Q6K);
        assert_eq!(of("token_embd.weight", false), Format::Q4K);
        assert_eq!(of("output.weight", false), Format::Q6K);
        let delicate: Vec<_> = (0..16).filter(|n| of(&format!("blk.{n}.attn_v.weight"), true) == Format::Q6K).collect();
        // 16 / 8 = 2 at either end, and 4, 7, 10, 13 between.
        assert_eq!(delicate, [0, 1, 4, 7, 10, 13, 14, 15]);
        assert_eq!(Target::Q4_0.of("output.weight", &[100, 80], 2, false), Format::F16);
    }
}
