//! The memory that a kernel is loaded into.

use mem::{Gpa, GuestRam};

use super::blob::Blob;
use crate::Error;
use crate::layout::{EBDA, HIGH_MEMORY, LOW_END, Layout};
use crate::size::Size;

/// A machine's empty memory, and where its tables lie.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The RAM.
    pub ram: &'a GuestRam,
    /// Its layout.
    pub layout: Layout,
    /// The ACPI root pointer, for protocols that pass it.
    pub rsdp: Gpa,
}

impl Target<'_> {
    /// Checks that `len` bytes at `at` are RAM that a kernel may occupy: below 4 GiB, and beside what the
    /// machine itself puts into low memory. The error says what is in the way.
    pub(super) fn check(&self, at: u64, len: u64) -> Result<(), String> {
        let end = at.saturating_add(len);
        let free = [(LOW_END, EBDA), (HIGH_MEMORY, self.layout.low_end())];
        if free.iter().any(|(from, to)| from.0 <= at && end <= to.0) {
            return Ok(());
        }
        if HIGH_MEMORY.0 <= at && end <= Layout::new(u64::MAX).low_end().0 {
            let least = Size(end.next_multiple_of(1 << 20));
            return Err(format!(
                "needs at least {least} of memory, and the machine has {}",
                Size(self.layout.low_end().0)
            ));
        }
        Err(format!(
            "loads at {at:#x} to {end:#x}, where the machine has no free memory"
        ))
    }

    /// Loads part of a kernel; see [`Target::check`].
    pub(super) fn load(&self, at: u64, bytes: &[u8], len: u64) -> Result<(), String> {
        self.check(at, len.max(bytes.len() as u64))?;
        let written = self.ram.write(Gpa(at), bytes);
        written.map_err(|error| error.to_string())
    }

    /// Places `blob` on a page, as high as it can be, between `from` and `to`.
    pub(super) fn load_high(&self, blob: Blob, from: u64, to: u64) -> Result<(Gpa, u64), Error> {
        let len = blob.len();
        let from = from.max(HIGH_MEMORY.0).next_multiple_of(mem::PAGE_SIZE);
        let to = to.min(self.layout.low_end().0);
        let at = to.checked_sub(len).map(|at| at & mem::PAGE_MASK);
        match at {
            Some(at) if at >= from => {
                blob.copy_to(self.ram, Gpa(at))?;
                Ok((Gpa(at), len))
            }
            _ => Err(blob.problem(format!(
                "{len} bytes do not fit into memory beside the kernel, which leaves {}",
                Size(to.saturating_sub(from) & mem::PAGE_MASK)
            ))),
        }
    }
}
