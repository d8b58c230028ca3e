//! Memory of one vCPU's generated blocks: its [`Context`], and code that reaches it relative to RIP.
//!
//! One memory file is mapped twice: context and code in one range, the code executable; and the code once more,
//! writable. No mapping is writable and executable. Between context and code lies the word by which other threads ask
//! for the vCPU's attention, and beside it what calls look at, and branches that keep the flags: one test tells a call that
//! nobody asks, and that there is room on the return-address stack.
#![allow(unsafe_code, reason = "a structure and code in mappings of our own")]

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use host::mapping::Protection;
use host::{Mapping, MemFile};

use crate::Context;
use crate::returns::HAS_ROOM;

/// Bytes before the code.
const HEAD: usize = 4096;
/// Where the word for attention is, in cache lines of its own.
pub(crate) const ATTENTION: usize = 2048;
const _: () = assert!(size_of::<Context>() <= ATTENTION);
/// Where the word for calls is: [`HAS_ROOM`], or zero when they are to be left to others, since the vCPU is wanted. It
/// follows the word for attention, and may be zero for no reason until the next look.
pub(crate) const CALLS: usize = ATTENTION + 4;

#[derive(Debug)]
struct Region {
    /// Context, then executable code.
    near: Mapping,
    writable: Mapping,
}

/// A word that is not zero when a vCPU is wanted: its code looks at it in each loop. The vCPU's memory is made with it.
#[derive(Debug)]
pub struct Attention {
    region: Arc<Region>,
    /// Held while somebody asks for the registers.
    asking: Mutex<()>,
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

impl Attention {
    /// Makes the word, zero, a context, and room for `len` bytes of code beside them, in whole pages, which exist once
    /// they are touched.
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
        let region = Region { near, writable };
        region.calls().store(HAS_ROOM, Ordering::SeqCst);
        Ok(Self {
            region: Arc::new(region),
            asking: Mutex::new(()),
        })
    }

    /// Asks for the vCPU's attention: sets bits of the word, and returns what it was.
    pub fn ask(&self, bits: u32) -> u32 {
        let before = self.fetch_or(bits, Ordering::SeqCst);
        self.region.calls().store(0, Ordering::SeqCst);
        before
    }

    /// Takes what was asked for: the word, which becomes zero. For the vCPU's own thread.
    pub fn take(&self) -> u32 {
        // Who asks between the two makes that zero once more.
        self.region.calls().store(HAS_ROOM, Ordering::SeqCst);
        self.swap(0, Ordering::SeqCst)
    }

    /// The vCPU's registers, with which it begins; `None` while somebody has them, or code beside them.
    pub fn registers(&self) -> Option<Registers> {
        let _asking = self.asking.lock();
        if Arc::strong_count(&self.region) > 1 {
            return None;
        }
        let region = self.region.clone();
        // SAFETY: inside the head, which is aligned to pages; nobody else has it.
        unsafe { region.context().write(Context::default()) };
        let area = Some(CodeArea(region.clone()));
        Some(Registers { region, area })
    }
}

impl Deref for Attention {
    type Target = AtomicU32;

    #[inline(always)]
    fn deref(&self) -> &AtomicU32 {
        self.region.word(ATTENTION)
    }
}

impl Registers {
    /// Takes the room for code, once.
    pub(crate) fn take_area(&mut self) -> Option<CodeArea> {
        self.area.take()
    }

    /// Lets calls go on by themselves unless the vCPU is wanted.
    #[inline(always)]
    pub(crate) fn look_at_calls(&mut self) {
        if self.region.calls().load(Ordering::Relaxed) == 0 {
            self.region.look_at_calls();
        }
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

    #[inline(always)]
    fn word(&self, at: usize) -> &AtomicU32 {
        debug_assert!(at == ATTENTION || at == CALLS);
        // SAFETY: inside the head and aligned; initialized with zeros, and only ever used as an atomic.
        unsafe { self.near.start().byte_add(at).cast().as_ref() }
    }

    fn calls(&self) -> &AtomicU32 {
        self.word(CALLS)
    }

    #[cold]
    fn look_at_calls(&self) {
        // Whoever asks makes it zero behind the other word.
        self.calls().store(HAS_ROOM, Ordering::SeqCst);
        if self.word(ATTENTION).load(Ordering::SeqCst) != 0 {
            self.calls().store(0, Ordering::SeqCst);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_left_while_the_vcpu_is_wanted() {
        let attention = Attention::new(4096).unwrap();
        let mut registers = attention.registers().unwrap();
        let mut calls = || {
            registers.look_at_calls();
            attention.region.calls().load(Ordering::SeqCst)
        };
        assert_eq!(calls(), HAS_ROOM);
        assert_eq!(attention.ask(5), 0);
        assert_eq!(attention.ask(2), 5);
        assert_eq!(calls(), 0);
        assert_eq!(attention.take(), 7);
        assert_eq!(calls(), HAS_ROOM);
        // Somebody asked, and it was taken before they were done.
        attention.region.calls().store(0, Ordering::SeqCst);
        assert_eq!(calls(), HAS_ROOM);
    }

    #[test]
    fn a_vcpu_has_one_owner_at_a_time() {
        let attention = Attention::new(4096).unwrap();
        let mut registers = attention.registers().unwrap();
        registers.gpr[3] = 7;
        let area = registers.take_area();
        assert!(area.is_some() && attention.registers().is_none());
        drop(registers);
        assert!(attention.registers().is_none());
        drop(area);
        assert_eq!(attention.registers().unwrap().gpr[3], 0);
    }
}
