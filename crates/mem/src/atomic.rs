//! Locked operations on guest RAM.
//!
//! Operands within a cache line are changed by the host's own locked instructions. Those that cross a line take
//! one lock for all of them ([`split_lock`]): they are atomic to each other, which is what guests that do such
//! a thing at all rely on, and hosts that punish split locks never see one.
#![allow(
    unsafe_code,
    reason = "locked instructions on memory that guests share"
)]

use std::arch::asm;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{GuestRam, Offset, Word};

/// Bytes within which the host's locked instructions are cheap.
const LINE: u64 = 64;

static SPLIT: Mutex<()> = Mutex::new(());

/// Excludes all other locked operations that cross a cache line, for operands that are not one piece of RAM.
pub fn split_lock() -> MutexGuard<'static, ()> {
    SPLIT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn crosses_line(at: Offset, bytes: u64) -> bool {
    at.0 % LINE + bytes > LINE
}

impl GuestRam {
    /// Replaces a word, at any alignment, by what `change` makes of it, atomically; `change` may run several
    /// times. Returns what its last run said besides, and whether the page holds decoded code.
    #[inline]
    pub fn update<T: Word, X>(&self, at: Offset, mut change: impl FnMut(T) -> (T, X)) -> (X, bool) {
        if crosses_line(at, T::BYTES) {
            let _guard = split_lock();
            let (new, more) = change(self.load(at));
            return (more, self.store(at, new));
        }
        let place = self.pointer(at, T::BYTES).as_ptr();
        let mut old = self.load(at);
        loop {
            let (new, more) = change(old);
            // SAFETY: `pointer` checked the bounds.
            let found = unsafe { T::compare_exchange(place, old, new) };
            if found == old {
                return (more, self.flags().written(at, T::BYTES));
            }
            old = found;
        }
    }

    /// Stores a word at any alignment and returns what was there, atomically, and whether the page holds decoded
    /// code.
    #[inline]
    pub fn exchange<T: Word>(&self, at: Offset, new: T) -> (T, bool) {
        if crosses_line(at, T::BYTES) {
            return self.update(at, |old| (new, old));
        }
        // SAFETY: `pointer` checks the bounds.
        let old = unsafe { T::exchange(self.pointer(at, T::BYTES).as_ptr(), new) };
        (old, self.flags().written(at, T::BYTES))
    }

    /// Locked compare-and-exchange of 16 bytes on a 16-byte boundary; returns what was there, and whether the page
    /// holds decoded code.
    pub fn compare_exchange_u128(&self, at: Offset, old: u128, new: u128) -> (u128, bool) {
        assert!(at.0.is_multiple_of(16), "{at:?} is not aligned");
        let place = self.pointer(at, 16).as_ptr();
        let (mut low, mut high) = (old as u64, (old >> 64) as u64);
        // SAFETY: in bounds by `pointer`, aligned by the assertion. RBX is not ours to name, so it is swapped.
        unsafe {
            asm!(
                "xchg rsi, rbx",
                "lock cmpxchg16b [rdi]",
                "mov rbx, rsi",
                in("rdi") place,
                inout("rsi") new as u64 => _,
                in("rcx") (new >> 64) as u64,
                inout("rax") low,
                inout("rdx") high,
                options(nostack),
            );
        }
        let found = u128::from(low) | u128::from(high) << 64;
        (found, self.flags().written(at, 16))
    }

    /// Stores a word `count` times, ascending; returns true when a page written holds decoded code.
    pub fn fill<T: Word>(&self, at: Offset, value: T, count: u64) -> bool {
        let bytes = count * T::BYTES;
        // SAFETY: `pointer` checks the bounds.
        unsafe { T::fill(self.pointer(at, bytes).as_ptr(), value, count as usize) };
        count > 0 && self.flags().written(at, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gpa;

    fn ram() -> GuestRam {
        GuestRam::new(&[(Gpa(0), 0x2000)]).unwrap()
    }

    #[test]
    fn updates_of_every_width_and_alignment_add_up() {
        let ram = ram();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        for at in [0x100, 0x13f, 0x1ffd] {
                            ram.update(Offset(at - 1), |old: u8| (old.wrapping_add(1), ()));
                            ram.update(Offset(at), |old: u16| (old.wrapping_add(1), ()));
                        }
                        ram.update(Offset(0x201), |old: u32| (old + 1, ()));
                        ram.update(Offset(0x23c), |old: u64| (old + 1, ()));
                    }
                });
            }
        });
        for at in [0x100, 0x13f, 0x1ffd] {
            assert_eq!(ram.load::<u8>(Offset(at - 1)), (20_000 % 256) as u8);
            assert_eq!(ram.load::<u16>(Offset(at)), 20_000);
        }
        assert_eq!(ram.load::<u32>(Offset(0x201)), 20_000);
        assert_eq!(ram.load::<u64>(Offset(0x23c)), 20_000);
    }

    #[test]
    fn sixteen_bytes_are_exchanged_only_when_equal() {
        let ram = ram();
        let (one, two) = (1 | 7 << 64, 2 | 9 << 64);
        assert_eq!(ram.compare_exchange_u128(Offset(0x40), 0, one), (0, false));
        assert_eq!(
            ram.compare_exchange_u128(Offset(0x40), 0, two),
            (one, false)
        );
        assert_eq!(
            ram.compare_exchange_u128(Offset(0x40), one, two),
            (one, false)
        );
        assert_eq!(ram.load::<u64>(Offset(0x48)), 9);
    }

    #[test]
    fn writes_to_pages_with_code_are_told() {
        let ram = ram();
        ram.flags().watch_code(1);
        assert!(!ram.exchange(Offset(0x800), 5_u32).1);
        assert!(ram.exchange(Offset(0x1800), 5_u32).1);
        ram.flags().watch_code(1);
        assert!(ram.fill(Offset(0xffc), 7_u32, 2));
        assert_eq!(ram.load::<u64>(Offset(0xffc)), 7 << 32 | 7);
        assert!(!ram.fill(Offset(0xffc), 7_u32, 1));
    }
}
