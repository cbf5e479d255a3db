//! The caches of this machine, and the blocks of products that fit them. No
//! bit depends on either.

use std::sync::OnceLock;

use crate::tile;

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caches {
    /// The first, for data, of a core.
    first: usize,
    /// The second, of a core.
    second: usize,
    /// The third, which cores share.
    third: usize,
}

/// Those of an ordinary core, where the system does not say.
const ORDINARY: Caches = Caches { first: 32 << 10, second: 512 << 10, third: 4 << 20 };

/// The blocks of a product, in words and in rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// The most words of depth.
    pub(crate) depth: usize,
    /// The most rows of `a`.
    pub(crate) rows: usize,
    /// The most columns of `b` packed at once.
    pub(crate) columns: usize,
}

/// The blocks for this machine and its tile.
pub(crate) fn blocks() -> Blocks {
    static BLOCKS: OnceLock<Blocks> = OnceLock::new();
    *BLOCKS.get_or_init(|| fit(read().unwrap_or(ORDINARY), tile::size()))
}

/// A panel of `b` half as large again as the first cache (it is read in
/// order, from the second as well, and 1.5 was the fastest on Zen 4), a block
/// of `a` an eighth of the second, the packed part of `b` an eighth of the
/// third.
fn fit(caches: Caches, tile: tile::TileSize) -> Blocks {
    const WORD: usize = size_of::<f32>();
    let depth = (caches.first * 3 / 2 / WORD / tile.columns / 2 * 2).clamp(128, 384);
    let rows = (caches.second / 8 / WORD / depth / tile.rows).clamp(4, 24) * tile.rows;
    let columns = (caches.third / 8 / WORD / depth / tile.columns).clamp(8, 96) * tile.columns;
    Blocks { depth, rows, columns }
}

/// What the system says of the first processor.
fn read() -> Option<Caches> {
    let mut caches = ORDINARY;
    for entry in std::fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?.flatten() {
        let text = |name: &str| std::fs::read_to_string(entry.path().join(name)).ok();
        let (Some(level), Some(kind), Some(size)) = (text("level"), text("type"), text("size")) else { continue };
        let (Some(size), "Data" | "Unified") = (bytes(size.trim()), kind.trim()) else { continue };
        match level.trim() {
            "1" => caches.first = size,
            "2" => caches.second = size,
            "3" => caches.third = size,
            _ => {}
        }
    }
    Some(caches)
}

/// `32K` or `8M`.
fn bytes(text: &str) -> Option<usize> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_fit_the_caches_and_the_tile() {
        for (first, second, third) in [(16, 128, 512), (32, 512, 4096), (48, 2048, 32_768), (128, 16_384, 1 << 20)] {
            let caches = Caches { first: first << 10, second: second << 10, third: third << 10 };
            for (rows, columns) in [(8, 48), (6, 16), (4, 16)] {
                let blocks = fit(caches, tile::TileSize { rows, columns });
                assert!(blocks.depth.is_multiple_of(2) && blocks.depth >= 128, "{blocks:?}");
                assert!(blocks.rows.is_multiple_of(rows) && blocks.columns.is_multiple_of(columns), "{blocks:?}");
                assert!(blocks.columns * blocks.depth * 4 <= (8 << 20), "{blocks:?}: the memory of packing");
            }
        }
    }

    #[test]
    fn sizes_are_read_as_the_system_writes_them() {
        assert_eq!((bytes("32K"), bytes("8M")), (Some(32 << 10), Some(8 << 20)));
        for strange in ["", "K", "-1K", "32", "32G", "99999999999999999999M", "é"] {
            assert_eq!(bytes(strange), None, "{strange}");
        }
    }
}
