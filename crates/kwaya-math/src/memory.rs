//! Memory for large buffers, in large pages where the system gives them: with
//! pages of 4 KiB a product waits for addresses to be looked up, and the first
//! touch of each costs as much as filling it.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

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

/// Memory for buffers that lie side by side, so that it comes in large pages even
/// where none of them would fill one. It is given back with the last of them.
#[derive(Default)]
pub struct Arena {
    whole: Option<Arc<Whole>>,
    taken: usize,
}

/// f32 in a line of the cache, at which buffers begin.
const LINE: usize = 16;

impl Arena {
    /// One with room for buffers of `bytes` together, each rounded up to a line of
    /// the cache. What does not fit gets memory of its own.
    pub fn with_bytes(bytes: usize) -> Self {
        Self { whole: (bytes > 0).then(|| Whole::new(bytes.div_ceil(size_of::<f32>()))), taken: 0 }
    }

    /// The next buffer: `length` zeros.
    pub(crate) fn take(&mut self, length: usize) -> Room {
        let first = self.taken.next_multiple_of(LINE);
        match &self.whole {
            Some(whole) if first.checked_add(length).is_some_and(|end| end <= whole.length()) => {
                self.taken = first + length;
                Room { whole: Arc::clone(whole), first, length }
            }
            _ => Room { whole: Whole::new(length), first: 0, length },
        }
    }
}

/// What an arena has. Its rooms are the only ones that read or write in it.
struct Whole(*mut [f32]);

// SAFETY: it owns what it points to, as the box that it was made of does; who
// reads or writes is for `Room` to say.
unsafe impl Send for Whole {}
// SAFETY: as above.
unsafe impl Sync for Whole {}

impl Whole {
    fn new(length: usize) -> Arc<Self> {
        Arc::new(Self(Box::into_raw(zeros(length).into_boxed_slice())))
    }

    fn length(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // SAFETY: it was made of a box, and no room is left.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A buffer in an arena: no other has any part of it.
pub(crate) struct Room {
    whole: Arc<Whole>,
    first: usize,
    length: usize,
}

impl Deref for Room {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the range lies within the whole, which lives as long as this, and
        // whoever writes to it has this room exclusively.
        unsafe { std::slice::from_raw_parts(self.whole.0.cast::<f32>().add(self.first), self.length) }
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above; the room is exclusive, and so is its range.
        unsafe { std::slice::from_raw_parts_mut(self.whole.0.cast::<f32>().add(self.first), self.length) }
    }
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
    fn rooms_of_an_arena_do_not_meet() {
        let mut arena = Arena::with_bytes(4 * 100);
        let mut rooms: Vec<Room> = [0, 1, 30, 17, 40, 16, 1_000].map(|length| arena.take(length)).into();
        for (number, room) in rooms.iter_mut().enumerate() {
            assert!(room.iter().all(|x| *x == 0.0), "{number}");
            room.fill(number as f32 + 1.0);
        }
        for (number, room) in rooms.iter().enumerate() {
            assert!(room.iter().all(|x| *x == number as f32 + 1.0), "{number}");
        }
        let within = rooms.iter().filter(|room| Arc::ptr_eq(&room.whole, arena.whole.as_ref().unwrap())).count();
        assert!(within > 3 && within < rooms.len(), "{within}");
        drop(arena);
        rooms.truncate(2);
        assert_eq!(rooms[1][..], [2.0]);
        assert_eq!(Arena::default().take(3)[..], [0.0; 3]);
    }

    #[test]
    fn zeros_are_zeros() {
        for length in [0, 1, 5_000_000] {
            let values = zeros(length);
            assert_eq!(values.len(), length);
            assert!(values.iter().all(|x| x.to_bits() == 0));
        }
    }
}
