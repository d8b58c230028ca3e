//! Decoded code: straight runs of instructions, decoded once.

mod cache;
pub(crate) mod decode;
mod op;

pub(crate) use cache::{BlockCache, Kind};
pub(crate) use decode::Source;
pub(crate) use op::{Flat, Handler, Op};

use mem::{GuestRam, Offset, PAGE_SIZE};

/// A run of instructions that is entered only at its start and left at its end or by a trap. All of it lies in
/// one page, except that a block of a single instruction may cross into the next.
#[derive(Debug)]
pub(crate) struct Block {
    /// None while the block is [released](BlockCache::release).
    pub(crate) ops: Box<[Op]>,
    /// The bytes that were decoded; none either while it is released.
    pub(crate) bytes: Box<[u8]>,
    /// The last op sets RIP.
    pub(crate) branches: bool,
    /// Some ops look for a debugger's breakpoints.
    pub(crate) checks: bool,
    /// How often it was run since it was decoded, or last translated.
    pub(crate) heat: u32,
    /// The linear address for which it was last translated.
    pub(crate) made_for: Option<u64>,
    /// What that was when the block was last kept for being in use.
    pub(crate) kept_at: u32,
    /// Where the code lies, and the version of its page when it was last compared.
    pub(crate) code: (Offset, u32),
    /// The same for the page that its single instruction crosses into.
    pub(crate) second: Option<(Offset, u32)>,
}

impl Block {
    /// Whether it is decoded, and no byte of its pages was written since then, or since it was compared.
    #[inline(always)]
    pub(crate) fn is_current(&self, ram: &GuestRam) -> bool {
        !self.ops.is_empty()
            && is_current(ram, self.code)
            && self.second.is_none_or(|code| is_current(ram, code))
    }

    /// It was translated for a linear address. Where another address space has the same code elsewhere, its worth is to be
    /// shown anew, since most of what a program starts with is run seldom, and programs are loaded elsewhere each time.
    pub(crate) fn cool(&mut self, linear: u64) {
        self.heat = 0;
        self.kept_at = 0;
        self.made_for = Some(linear);
    }

    /// Compares the code with memory: a block whose pages were written elsewhere is good again.
    #[cold]
    pub(crate) fn renew(&mut self, ram: &GuestRam) -> bool {
        if self.ops.is_empty() {
            return false;
        }
        let mut now = [0; PAGE_SIZE as usize];
        let now = &mut now[..self.bytes.len()];
        let room = now
            .len()
            .min((PAGE_SIZE - self.code.0.0 % PAGE_SIZE) as usize);
        let (head, tail) = now.split_at_mut(room);
        // Versions first: bytes read after them belong to them or to later ones.
        let version = ram.flags().watch_code(self.code.0.page());
        ram.copy_out(self.code.0, head);
        let second = self.second.map(|(at, _)| {
            let version = ram.flags().watch_code(at.page());
            ram.copy_out(at, tail);
            (at, version)
        });
        if *now != *self.bytes {
            return false;
        }
        self.code.1 = version;
        self.second = second;
        true
    }
}

#[inline(always)]
fn is_current(ram: &GuestRam, (at, version): (Offset, u32)) -> bool {
    ram.flags().version(at.page()) == version
}
