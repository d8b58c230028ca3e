//! The memory that a kernel is loaded into.

use std::path::Path;

use mem::{Gpa, GuestRam};

use super::Initrd;
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

    /// Opens an initrd or a module.
    pub(super) fn open_initrd(&self, path: &Path) -> Result<Blob, Error> {
        let blob = Blob::open(path, self.ram.size())?;
        match blob.len() {
            0 => Err(refusal(&blob, "is empty".into())),
            _ => Ok(blob),
        }
    }

    /// Places an initrd on a page, as high as it can be, between `from` and `to`; returns address and length.
    pub(super) fn load_high(
        &self,
        initrd: &Initrd,
        from: u64,
        to: u64,
    ) -> Result<(Gpa, u64), Error> {
        let blob = match &initrd.blob {
            Some(blob) => blob.clone(),
            None => self.open_initrd(&initrd.path)?,
        };
        let len = blob.len();
        let from = from.max(HIGH_MEMORY.0).next_multiple_of(mem::PAGE_SIZE);
        let to = to.min(self.layout.low_end().0);
        let at = to.checked_sub(len).map(|at| at & mem::PAGE_MASK);
        match at {
            Some(at) if at >= from => {
                blob.copy_to(0..len, self.ram, Gpa(at))?;
                Ok((Gpa(at), len))
            }
            _ => {
                let room = Size(to.saturating_sub(from) & mem::PAGE_MASK);
                let problem = format!(
                    "{len} bytes do not fit into memory beside the kernel, which leaves {room}"
                );
                Err(refusal(&blob, problem))
            }
        }
    }
}

pub(super) fn refusal(blob: &Blob, problem: String) -> Error {
    Error::Initrd {
        path: blob.path().to_owned(),
        problem,
    }
}
