//! Memory for generated code: one memory file mapped twice, once to write and once to execute.
//!
//! Code is added and never changed or removed, so executing it needs no lock.
#![allow(unsafe_code, reason = "writes code through a mapping of its own")]

use std::io;
use std::sync::Mutex;

use host::mapping::Protection;
use host::{Mapping, MemFile};

/// Code begins at multiples of this.
const ALIGNMENT: usize = 16;

/// A bounded region of host code.
#[derive(Debug)]
pub(crate) struct CodeMemory {
    writable: Mapping,
    executable: Mapping,
    used: Mutex<usize>,
}

impl CodeMemory {
    /// Reserves room for `len` bytes of code; pages exist once they are used.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let file = MemFile::new("code", len as u64)?;
        Ok(Self {
            writable: Mapping::shared(&file, 0, len, Protection::ReadWrite)?,
            executable: Mapping::shared(&file, 0, len, Protection::ReadExecute)?,
            used: Mutex::new(0),
        })
    }

    /// Adds code and returns the address to call it at, or `None` when there is no room left.
    pub(crate) fn add(&self, code: &[u8]) -> Option<usize> {
        let mut used = self.used.lock().expect("nobody panics while adding code");
        let start = *used;
        let end = start.checked_add(code.len())?;
        if end > self.writable.len() {
            return None;
        }
        *used = end.next_multiple_of(ALIGNMENT);
        // SAFETY: `start..end` is inside the mapping, and nobody was given it before.
        unsafe {
            let to = self.writable.start().as_ptr().add(start);
            std::ptr::copy_nonoverlapping(code.as_ptr(), to, code.len());
        }
        Some(self.executable.start().as_ptr() as usize + start)
    }

    /// The addresses that code is executed at.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        let start = self.executable.start().as_ptr() as usize;
        start..start + self.executable.len()
    }
}
