//! A vCPU's translated blocks: made, found, entered, linked to each other, and dropped.
//!
//! Only the vCPU's own thread uses them. Code is added until there is no more room, and then everything is dropped:
//! what is dropped before leaves a hole.
#![allow(unsafe_code, reason = "runs generated code")]

mod block;
mod guess;
mod heat;
mod index;
mod left;
mod link;
mod misses;
mod path;
mod site;
mod step;
mod table;
mod trail;
mod watch;

use std::arch::asm;
use std::collections::HashMap;
use std::io;

use host::fault;
use host::sampler::Sampler;

pub use block::Key;
use block::{Block, PackedMark};
use heat::Heat;
use index::Index;
pub use left::Left;
use misses::Misses;
use site::Sites;
use table::Tables;
use trail::Trail;

use crate::cc;
use crate::region::{CodeArea, Registers};
use crate::tlb::{Counts, Wandered};
use crate::translate::thunk::{self, Thunks};
use crate::translate::{self, Exchange, Frame, History, Mark, Source};

/// Blocks begin at multiples of this.
const ALIGNMENT: usize = 16;
/// More than the code of a block of 64 instructions.
const LARGEST: usize = 64 << 10;
/// How often shared probes of a block miss until it is translated anew, with a probe for each access beside them.
const MOST_MISSES: u8 = 16;

/// Most bytes in an instruction.
const LONGEST: u64 = 15;

/// An address at which code can be entered; good until blocks are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    address: u64,
    /// The vector registers are to be loaded before.
    vectors: bool,
    /// Registers that are to trade places before.
    exchange: Exchange,
}

impl Entry {
    fn plain(address: u64) -> Self {
        Self {
            address,
            vectors: false,
            exchange: Exchange::NONE,
        }
    }
}

/// The translated blocks of one vCPU.
pub struct Blocks {
    area: CodeArea,
    used: usize,
    thunks: Thunks,
    blocks: Vec<Block>,
    sites: Sites,
    /// Of all blocks, one block's behind the other.
    marks: Vec<PackedMark>,
    by_key: Index,
    by_page: HashMap<u64, Vec<u32>>,
    tables: Tables,
    /// Linked sites that lead to other pages, without a look at the address space.
    far: Vec<u32>,
    /// What GS holds.
    table: usize,
    /// The exchange of the block that a direct branch has left last.
    before: Exchange,
    misses: Misses,
    heat: Heat,
    scratch: translate::Scratch,
    /// Blocks that are to be translated together with those that they lead to: what they were before, or no block where that
    /// was no good.
    paths: HashMap<Key, u32>,
    /// What those are made of that lie in several places.
    parts: HashMap<u32, Box<[path::Part]>>,
    /// There are none of them.
    apart: bool,
    /// Where the sites lead that are indirect branches', if they have led to one place so far.
    guesses: HashMap<u32, Option<u64>>,
    sampler: Option<Sampler>,
    /// Where indirect jumps have led.
    trail: Trail,
    wandered: Option<Wandered>,
    /// Accesses that have been given entries of their own in the TLB.
    accesses: Counts,
    /// Blocks ever made.
    pub made: u64,
    /// Those among them that were dropped to be made again, as hot ones.
    pub hot: u64,
    /// Those that lie in several places.
    pub several: u64,
    /// Times that everything was dropped.
    pub flushes: u64,
    /// Branches ever linked.
    pub linked: u64,
    code: fault::Region,
}

/// Whether an instruction at a linear address may reach into the next page: where such a one leads depends on that page,
/// too.
pub fn may_cross(linear: u64) -> bool {
    linear & 0xfff > 0x1000 - LONGEST
}

/// Whether this host can run translated blocks: it has RORX, and lets programs set GS.
pub fn is_supported() -> bool {
    std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("sse4.1")
        && host::cpu::has_fsgsbase()
}

impl Blocks {
    /// An empty cache whose code works on `registers` and lies beside them. An `eager` one, for tests, soon takes blocks for
    /// such as miss often, and some for hot, so that what is done then is done.
    ///
    /// # Errors
    /// The host's, when it grants no memory.
    pub fn new(registers: &mut Registers, eager: bool) -> io::Result<Self> {
        let mut area = registers.take_area().ok_or(io::ErrorKind::AlreadyExists)?;
        let len = area.len();
        let (code, thunks) = thunk::write(area.start(), area.context());
        area.write(0, &code);
        let range = area.start() as usize..area.start() as usize + len;
        let target = area.start() as usize + thunks.fault as usize;
        let area_start = area.start();
        let fault = fault::Region::new(&range, target).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            area,
            used: code.len().next_multiple_of(ALIGNMENT),
            thunks,
            blocks: Vec::new(),
            sites: Sites::default(),
            marks: Vec::new(),
            by_key: Index::default(),
            by_page: HashMap::new(),
            tables: Tables::new(area_start + u64::from(thunks.outermost))?,
            far: Vec::new(),
            table: 0,
            before: Exchange::NONE,
            misses: Misses::new(if eager { 2 } else { MOST_MISSES }),
            heat: Heat::new(eager),
            scratch: translate::Scratch::default(),
            paths: HashMap::new(),
            parts: HashMap::new(),
            apart: false,
            guesses: HashMap::new(),
            sampler: None,
            trail: Trail::new(eager)?,
            wandered: None,
            accesses: Counts::default(),
            made: 0,
            hot: 0,
            several: 0,
            flushes: 0,
            linked: 0,
            code: fault,
        })
    }

    /// Whether there is room for another block; if not, drop all of them.
    pub fn has_room(&self) -> bool {
        self.area.len() - self.used >= LARGEST && self.blocks.len() < translate::MOST_BLOCKS
    }

    /// Drops all blocks.
    pub fn flush(&mut self) {
        self.flushes += 1;
        self.used = thunk::write(self.area.start(), self.area.context())
            .0
            .len()
            .next_multiple_of(ALIGNMENT);
        self.blocks.clear();
        self.sites.clear();
        self.marks.clear();
        self.by_key.clear();
        self.by_page.clear();
        self.far.clear();
        self.misses.clear();
        self.heat.clear();
        self.paths.clear();
        self.parts.clear();
        self.guesses.clear();
        self.trail.clear();
        self.tables.clear();
    }

    /// Accesses that have been given entries of their own in the TLB.
    pub fn accesses(&self) -> &Counts {
        &self.accesses
    }

    /// Bytes of code in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes of what is known of the blocks beside their code.
    pub fn beside(&self) -> usize {
        let page = size_of::<(u64, Vec<u32>)>();
        // Most blocks lie in one page.
        size_of_val(&self.blocks[..])
            + size_of_val(&self.marks[..])
            + self.sites.bytes()
            + self.by_key.bytes()
            + self.by_page.capacity() * page
            + self.blocks.len() * size_of::<u32>()
    }

    /// Translates a block that lies in `pages` of RAM. There must be room.
    pub fn add(&mut self, key: Key, source: Source<'_>, pages: &[u64]) -> u32 {
        let base = self.area.start() + self.used as u64;
        let thunk = |offset: u32| self.area.start() + u64::from(offset);
        let frame = Frame {
            base,
            context: self.area.context(),
            leave: thunk(self.thunks.leave),
            load_vectors: thunk(self.thunks.load_vectors),
            thunks: thunk(0),
            unwind: thunk(self.thunks.unwind),
            find_stack: self.thunks.find_stack,
            find_site: self.thunks.find_site,
            strings: self.thunks.strings,
            ways: self.thunks.ways,
            read_tsc: self.thunks.read_tsc,
            number: self.blocks.len() as u32,
            first_jump: self.sites.count(),
            accesses: self.accesses,
        };
        let before = std::mem::take(&mut self.before);
        let history = History {
            before: self.heat.exchange(&key).unwrap_or(before),
            misses: self.misses.are_many(&key),
            hot: self.heat.hot(&key),
        };
        let translated = translate::block(source, frame, history, &mut self.scratch);
        self.accesses = translated.accesses;
        self.area.write(self.used, &translated.code);
        let number = frame.number;
        let start = self.used as u32;
        self.used = (self.used + translated.code.len()).next_multiple_of(ALIGNMENT);
        self.sites.extend(number, &translated.jumps);
        if let Some(old) = self.find(&key) {
            self.drop_block(old);
        }
        for &page in pages {
            self.by_page.entry(page).or_default().push(number);
        }
        let marks = self.marks.len() as u32;
        let block = Block::new(key, &translated, start, marks, site::NONE);
        self.several += u64::from(block.is_several());
        self.blocks.push(block);
        let marks = translated.marks.iter().copied().map(PackedMark::from);
        self.marks.extend(marks);
        self.scratch.reuse(translated);
        self.by_key.insert(&self.blocks, number);
        self.made += 1;
        number
    }

    /// The block with a key.
    pub fn find(&self, key: &Key) -> Option<u32> {
        self.by_key.find(&self.blocks, key)
    }

    /// Whether a block is to be translated that was seen often.
    pub fn is_hot(&self, key: &Key) -> bool {
        self.heat.hot(key).is_some()
    }

    /// Whether there is a block with a key that is a loop whose first turn may be as fast as others.
    pub fn is_loop(&self, key: &Key) -> bool {
        let block = self.find(key);
        block.is_some_and(|block| self.blocks[block as usize].streams())
    }

    /// Where a block begins.
    pub fn start(&self, block: u32) -> Entry {
        Entry::plain(self.area.start() + u64::from(self.blocks[block as usize].entry_saved()))
    }

    /// Where a block goes on with an instruction; `None` when the block was dropped, and when it relies on x87
    /// registers while they are not there ([`crate::Context::x87_away`]).
    pub fn resume(&self, block: u32, op: u16, x87: bool) -> Option<Entry> {
        let known = self
            .blocks
            .get(block as usize)
            .filter(|block| !block.dead)?;
        let mark = self
            .marks(block)
            .find(|mark| mark.op == op && mark.entry)
            .filter(|mark| x87 || !mark.x87)?;
        Some(Entry {
            address: self.area.start() + u64::from(known.start + mark.at),
            vectors: mark.vectors,
            exchange: known.exchange(),
        })
    }

    /// The marks of a block.
    fn marks(&self, block: u32) -> impl Iterator<Item = Mark> {
        let first = |block: &Block| block.marks as usize;
        let next = self.blocks.get(block as usize + 1);
        let marks = first(&self.blocks[block as usize])..next.map_or(self.marks.len(), first);
        self.marks[marks].iter().copied().map(Mark::from)
    }

    /// The code for an address in the selected table.
    #[inline(always)]
    pub fn look_up(&self, linear: u64) -> Option<Entry> {
        self.tables.current().get(linear).map(Entry::plain)
    }

    /// Remembers in the selected table that an address leads to a block.
    pub fn learn(&mut self, linear: u64, block: u32) {
        let entry = self.start(block).address;
        self.tables.current_mut().set(linear, entry);
    }

    /// Remembers in the selected table that the indirect jump at the end of a block led to another one, where that does not
    /// look at flags.
    pub fn learn_late(&mut self, linear: u64, jump: u32, block: u32) {
        if !self.blocks[block as usize].wants_flags() {
            let entry = self.start(block).address;
            self.tables.current_mut().set_late(linear, entry);
        }
        self.note_jump(jump, block);
    }

    /// Selects the jump table for a key: address space, privilege and mode. A key that is not live won't come again.
    #[inline(always)]
    pub fn select(&mut self, key: u64, is_live: impl Fn(u64) -> bool) {
        self.tables.select(key, is_live);
    }

    /// Lets SYSCALL and SYSRET pass between code under two keys, a supervisor's and a user's.
    pub fn open_gates(
        &mut self,
        registers: &mut Registers,
        [supervisor, user]: [u64; 2],
        is_live: impl Fn(u64) -> bool,
    ) {
        let keys = [supervisor, user];
        self.tables.open(&mut registers.gates, keys, is_live);
    }

    /// Changes when what [`Blocks::open_gates`] was told last is not good any more.
    #[inline(always)]
    pub fn gate_changes(&self) -> u64 {
        self.tables.changes()
    }

    /// Drops the blocks that lie in a page of RAM.
    pub fn drop_page(&mut self, page: u64) {
        for block in self.by_page.remove(&page).unwrap_or_default() {
            // Other code goes elsewhere.
            self.paths.remove(&self.key(block));
            self.drop_block(block);
        }
    }

    fn drop_block(&mut self, number: u32) {
        let block = &mut self.blocks[number as usize];
        if block.dead {
            return;
        }
        block.dead = true;
        let linear = block.key().linear;
        self.parts.remove(&number);
        while let Some(site) = self.sites.take_first(&mut self.blocks, number) {
            self.unlink(site);
        }
        self.by_key.remove(&self.blocks, number);
        self.tables.remove(linear);
    }

    /// Another thread runs from now on.
    pub fn forget_thread(&mut self) {
        self.table = 0;
        if !self.sampler.as_ref().is_some_and(Sampler::is_here) {
            // Without one no block is found to be hot.
            self.sampler = Sampler::new().ok();
        }
    }

    /// Runs code until it leaves. `tlb` is the address of the TLB's table; `clock` tells the TSC.
    #[inline(always)]
    pub fn enter(
        &mut self,
        registers: &mut Registers,
        tlb: usize,
        clock: &dyn Fn() -> u64,
        entry: Entry,
    ) -> Left {
        debug_assert!(registers.belongs_to(&self.area));
        registers.run.target = entry.address;
        entry.exchange.apply(&mut registers.gpr);
        self.tables.load(&mut registers.run);
        registers.look_at_calls();
        if self.table != tlb {
            self.table = tlb;
            // SAFETY: nothing but generated code uses GS, and the host allows the instruction (`is_supported`).
            unsafe { asm!("wrgsbase {}", in(reg) tlb, options(nomem, nostack, preserves_flags)) };
        }
        let enter = match entry.vectors {
            true => self.thunks.enter_vectors,
            false => self.thunks.enter,
        };
        let enter = self.area.start() + u64::from(enter);
        registers.run.table = tlb as u64;
        registers.clock = &raw const clock as u64;
        self.tables.approach(&mut registers.gates);
        let watched = self.trail.table();
        if let Some(nothing) = watched {
            registers.run.jumps = nothing;
        }
        // SAFETY: code made by `thunk` keeps the registers that the C ABI keeps. Generated code stays inside the context,
        // which `registers` lends, inside guest RAM as the TLB has it, and reads tables that live as long as `self` and
        // the TLB's owner, and asks a clock that is borrowed until it is left. It comes back by a jump: the processor foresees returns by calls, and those of the code that
        // was left may be more or fewer than its returns.
        unsafe {
            asm!(
                "lea rcx, [rip + 2f]",
                "push rcx",
                "jmp rax",
                "2:",
                in("rax") enter,
                clobber_abi("sysv64"),
            );
        }
        registers.cc &= cc::ALL;
        self.table = registers.run.table as usize;
        let exit = registers.run.exit;
        self.tables.leave(&registers.gates);
        if watched.is_some() {
            registers.run.jumps = self.tables.current().address();
            self.see_round();
        }
        if let Some(at) = self.code.take_sample() {
            self.see(at);
        }
        match exit {
            thunk::LANDED => return Left::Landed,
            thunk::SOUGHT => return Self::sought(registers, None),
            thunk::FAULT => {
                // A call may be half remembered.
                self.tables.forget_calls();
                return self.fault(registers);
            }
            _ => {}
        }
        if let Some(block) = translate::jump_of(exit) {
            return Self::sought(registers, Some(block));
        }
        if let Some((block, op)) = translate::instruction_of(exit) {
            self.exchange_back(registers, block);
            self.note_wandering(registers, block, op);
            let (op, last) = self.blocks[block as usize].left_with(op);
            return Left::Interpret { block, op, last };
        }
        if let Some((op, last)) = self.sites.run(exit) {
            return self.missed(registers, exit, op, last);
        }
        if self.sites.is_inside(exit) {
            return self.left_inside(registers, exit);
        }
        let target = self.sites.target(exit);
        if self.sites.is_guess(exit) {
            return self.unguessed(registers, exit, target as u16);
        }
        self.before = self.blocks[self.sites.block(exit) as usize].exchange();
        self.look_for_wandered(registers);
        Left::Jump { site: exit, target }
    }

    /// A branch leads to what the jump table does not have: the jump at the end of a block, or another one.
    fn sought(registers: &mut Registers, jump: Option<u32>) -> Left {
        if registers.run.strays.cast_signed() < 0 {
            registers.run.strays = guess::STRAYS;
        }
        Left::Sought {
            target: registers.run.sought,
            jump,
        }
    }

    /// Has registers that trade places in a block in their own.
    #[inline(always)]
    fn exchange_back(&self, registers: &mut Registers, block: u32) {
        let exchange = self.blocks[block as usize].exchange();
        exchange.apply(&mut registers.gpr);
    }

    /// The block whose code is at an address, if it is not a thunk's.
    fn block_at(&self, at: u64) -> Option<u32> {
        let at = at.wrapping_sub(self.area.start()) as u32;
        let before = self.blocks.partition_point(|block| block.start <= at);
        before.checked_sub(1).map(|number| number as u32)
    }

    /// A probe for a run of instructions has missed. Where that happens often, the next translation of the block has a
    /// copy of the run with a probe for each.
    fn missed(&mut self, registers: &mut Registers, site: u32, op: u16, last: u16) -> Left {
        let number = self.sites.block(site);
        self.exchange_back(registers, number);
        let key = self.blocks[number as usize].key();
        let (_, last) = self.blocks[number as usize].left_with(last);
        if !self.note_wandering(registers, number, op) && self.misses.note(number, key) {
            self.drop_block(number);
        }
        Left::Interpret {
            block: number,
            op,
            last,
        }
    }

    /// The host's processor raised an exception at an instruction.
    #[cold]
    fn fault(&self, registers: &mut Registers) -> Left {
        let at = registers.run.fault_at;
        let Some(number) = self.block_at(at) else {
            let vector = registers.run.fault_vector;
            panic!(
                "exception {vector} outside of blocks, at {at:#x}; thunks {:?}",
                self.thunks
            );
        };
        let at = at.wrapping_sub(self.area.start()) as u32;
        let start = self.blocks[number as usize].start;
        let marks = self.marks(number);
        let mark = marks
            .take_while(|mark| start + mark.at <= at)
            .last()
            .expect("a block begins with a mark");
        if !mark.saved {
            registers.cc = registers.run.fault_cc;
        }
        self.exchange_back(registers, number);
        Left::Interpret {
            block: number,
            op: mark.op,
            last: mark.op,
        }
    }
}
