//! Memory for large buffers, in large pages where the system gives them: with
//! pages of 4 KiB a product waits for addresses to be looked up.

/// `length` zeros.
pub fn zeros(length: usize) -> Vec<f32> {
    let values = vec![0.0; length];
    ask_for_large_pages(&values);
    values
}

/// `length` f16 zeros.
pub(crate) fn zeros_f16(length: usize) -> Vec<u16> {
    let values = vec![0; length];
    ask_for_large_pages(&values);
    values
}

/// Smaller buffers would not fill a large page.
#[cfg(target_os = "linux")]
const WORTH_IT: usize = 4 << 20;

/// Asks that what no thread has touched yet comes in large pages. No more
/// than a wish: whatever the system makes of it, the values are there.
#[cfg(target_os = "linux")]
fn ask_for_large_pages<T>(values: &[T]) {
    const PAGE: usize = 4096;
    let bytes = size_of_val(values);
    if bytes < WORTH_IT {
        return;
    }
    let skip = values.as_ptr().cast::<u8>().align_offset(PAGE).min(bytes);
    // SAFETY: the range lies within the buffer, and the advice changes no
    // byte of it.
    unsafe {
        let start = values.as_ptr().cast::<u8>().add(skip);
        libc::madvise(start.cast_mut().cast(), bytes - skip, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages<T>(_: &[T]) {}

/// Asks for a cache line, wherever that is, to the second cache. On Zen 4 that
/// is memory's full speed, where asking to the first gave half of it (it has
/// too few lines under way), and asking for nothing a third.
#[inline(always)]
pub(crate) fn prefetch<T>(from: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: all of x86-64 has the instruction, which reads nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_zeros() {
        for length in [0, 1, 5_000_000] {
            let values = zeros(length);
            assert_eq!(values.len(), length);
            assert!(values.iter().all(|x| x.to_bits() == 0));
        }
    }
}
