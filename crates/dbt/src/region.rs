//! Memory of one vCPU's generated blocks: its [`Context`], and code that reaches it relative to RIP.
//!
//! One memory file is mapped twice: context and code in one range, the code executable; and the code once more,
//! writable. No mapping is writable and executable.
#![allow(unsafe_code, reason = "a structure and code in mappings of our own")]

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use host::mapping::Protection;
use host::{Mapping, MemFile};

use crate::Context;

/// Bytes before the code.
const HEAD: usize = 4096;
const _: () = assert!(size_of::<Context>() <= HEAD);

#[derive(Debug)]
struct Region {
    /// Context, then executable code.
    near: Mapping,
    writable: Mapping,
}

/// A vCPU's [`Context`], where its code can reach it.
#[derive(Debug)]
pub struct Registers {
    region: Arc<Region>,
    area: Option<CodeArea>,
}

/// Room for a vCPU's code.
#[derive(Debug)]
pub(crate) struct CodeArea(Arc<Region>);

impl Registers {
    /// Makes a context and room for `len` bytes of code beside it, in whole pages, which exist once they are touched.
    ///
    /// # Errors
    /// The host's, when it grants no memory.
    pub fn new(len: usize) -> io::Result<Self> {
        let file = MemFile::new("blocks", (HEAD + len) as u64)?;
        let pieces = [
            (0, HEAD, Protection::ReadWrite),
            (HEAD as u64, len, Protection::ReadExecute),
        ];
        let near = Mapping::views(&file, &pieces)?;
        let writable = Mapping::shared(&file, HEAD as u64, len, Protection::ReadWrite)?;
        let region = Arc::new(Region { near, writable });
        // SAFETY: inside the head, which is aligned to pages and not used yet.
        unsafe { region.context().write(Context::default()) };
        let area = Some(CodeArea(region.clone()));
        Ok(Self { region, area })
    }

    /// Takes the room for code, once.
    pub(crate) fn take_area(&mut self) -> Option<CodeArea> {
        self.area.take()
    }

    /// Whether `area` lies beside this context.
    pub(crate) fn belongs_to(&self, area: &CodeArea) -> bool {
        Arc::ptr_eq(&self.region, &area.0)
    }
}

impl Region {
    fn context(&self) -> NonNull<Context> {
        self.near.start().cast()
    }
}

impl Deref for Registers {
    type Target = Context;

    #[inline(always)]
    fn deref(&self) -> &Context {
        // SAFETY: initialized by `new`; the one `Registers` of a region stands for the context. Generated code uses it
        // only while `run` has it borrowed mutably.
        unsafe { self.region.context().as_ref() }
    }
}

impl DerefMut for Registers {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Context {
        // SAFETY: as above.
        unsafe { self.region.context().as_mut() }
    }
}

impl CodeArea {
    /// Address of the context.
    pub(crate) fn context(&self) -> u64 {
        self.0.near.start().as_ptr() as u64
    }

    /// Address at which the first byte of code is executed.
    pub(crate) fn start(&self) -> u64 {
        self.context() + HEAD as u64
    }

    /// Bytes of room.
    pub(crate) fn len(&self) -> usize {
        self.0.writable.len()
    }

    /// Writes code at an offset.
    pub(crate) fn write(&mut self, at: usize, code: &[u8]) {
        assert!(at <= self.len() && code.len() <= self.len() - at);
        // SAFETY: in bounds of the mapping; its owner's thread is the only one that executes the code, and it is here.
        unsafe {
            let to = self.0.writable.start().as_ptr().add(at);
            std::ptr::copy_nonoverlapping(code.as_ptr(), to, code.len());
        }
    }
}
