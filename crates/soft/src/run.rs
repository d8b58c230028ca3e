//! The run loop of one processor.

#[cfg(test)]
mod tests;

use mem::{Offset, PAGE_SIZE};

use crate::block::{Block, BlockCache, Kind, Op, decode};
use crate::cpu::Cpu;
use crate::lockstep::Lockstep;
use crate::mmu::{Access, Place};
use crate::translated::Translation;
use crate::trap::{GP0, R, Trap, UD};

/// A processor and its decoded code, apart so that a block can be borrowed while it changes the processor.
pub(crate) struct Processor {
    pub(crate) cpu: Cpu,
    pub(crate) blocks: BlockCache,
    /// `None` where everything is interpreted.
    pub(crate) translation: Option<Translation>,
    /// While translated code is compared with the interpreter.
    pub(crate) lockstep: Option<Box<Lockstep>>,
}

/// What there is at CS:RIP, by its number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    /// A decoded block.
    Decoded(u32),
    /// A translated one.
    Translated(u32),
}

impl Processor {
    pub(crate) fn new(mut cpu: Cpu) -> Self {
        let translation = Translation::new(&mut cpu);
        let lockstep = Lockstep::new(&cpu);
        Self {
            cpu,
            blocks: BlockCache::new(),
            translation,
            lockstep,
        }
    }

    /// The calling thread runs it from now on, which may have run another one.
    pub(crate) fn adopt(&mut self) {
        if let Some(translation) = &mut self.translation {
            translation.blocks.forget_thread();
        }
    }

    /// Executes one block, or its first `most` instructions.
    pub(crate) fn step(&mut self, most: usize) -> R {
        let number = self.lookup()?;
        let block = self.blocks.get(number);
        let check = block.checks && block.ops.first().is_some_and(Op::is_check);
        self.cpu
            .execute(block, most.saturating_add(usize::from(check)))
    }

    /// Executes blocks until the processor has to be attended to; an exception is left to be delivered.
    pub(crate) fn run(&mut self) -> R {
        let mut next = None;
        while !self.cpu.is_wanted() {
            next = match next {
                Some(number) => self.run_decoded(number)?,
                None => self.run_next()?,
            };
            if self.cpu.attend {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Executes what is at CS:RIP: the decoded block that is next, when that was found.
    #[inline(always)]
    fn run_next(&mut self) -> R<Option<u32>> {
        if let Some(entry) = self.jump_entry() {
            return self.run_from(entry);
        }
        match self.find()? {
            Found::Decoded(number) => self.run_decoded(number),
            Found::Translated(block) => self.run_block(block),
        }
    }

    /// Executes a decoded block, of a loop maybe some turns, or its translation when it has or is to have one: the decoded
    /// block that is next, when that was found.
    #[inline(always)]
    fn run_decoded(&mut self, number: u32) -> R<Option<u32>> {
        let mut most = self.count(number);
        if most == 0
            && let Some(block) = self.translated(number)
        {
            return self.run_block(block);
        }
        let block = self.blocks.get(number);
        let (start, key) = (self.cpu.rip, self.cpu.block_key(self.cpu.linear_ip()));
        loop {
            self.cpu.execute(block, usize::MAX)?;
            if self.cpu.attend {
                return Ok(None);
            }
            // Loops stay where they are.
            let again = self.cpu.rip == start && self.cpu.block_key(self.cpu.linear_ip()) == key;
            most = most.wrapping_sub(1);
            if !again || most == 0 || !block.is_current(&self.cpu.ram) || self.cpu.is_wanted() {
                return Ok(None);
            }
        }
    }

    /// Counts a run of a block, and tells how often it may be run until it is looked at again: never when it is hot.
    #[inline(always)]
    fn count(&mut self, number: u32) -> u32 {
        let Some(translation) = &self.translation else {
            return u32::MAX;
        };
        let block = self.blocks.get_mut(number);
        let hot = translation.is_hot(block, self.cpu.linear_ip(), 0);
        block.heat = block.heat.saturating_add(1);
        u32::from(!hot)
    }

    /// The block at CS:RIP.
    #[inline(always)]
    pub(crate) fn lookup(&mut self) -> R<u32> {
        self.cpu.figures.lookups += 1;
        let linear = self.cpu.linear_ip();
        let key = self.cpu.block_key(linear);
        match self.blocks.jump(&self.cpu.ram, linear, key) {
            Some(block) => Ok(block),
            None => self.enter(linear, key),
        }
    }

    /// The block at CS:RIP; where decoded code is not known to be, its translation, since blocks that are translated need
    /// not stay decoded.
    #[inline(always)]
    pub(crate) fn find(&mut self) -> R<Found> {
        self.cpu.figures.lookups += 1;
        let linear = self.cpu.linear_ip();
        let key = self.cpu.block_key(linear);
        if let Some(number) = self.blocks.jump(&self.cpu.ram, linear, key) {
            return Ok(Found::Decoded(number));
        }
        if self.translation.is_some() {
            let at = self.cpu.code_place(linear)?;
            if let Some(block) = self.known_translation(at) {
                return Ok(Found::Translated(block));
            }
        }
        self.enter(linear, key).map(Found::Decoded)
    }

    #[cold]
    fn enter(&mut self, linear: u64, key: u64) -> R<u32> {
        let at = self.cpu.code_place(linear)?;
        let cpu = &mut self.cpu;
        cpu.figures.missed += 1;
        let number = match self.blocks.find(at, Kind::of(cpu.mode)) {
            Some(number) if self.is_good(number, linear)? => number,
            _ => self.decode(linear, at)?,
        };
        self.cpu.mmu.note_code(linear);
        if self.blocks.get(number).second.is_some() {
            self.cpu.mmu.note_code(linear.wrapping_add(PAGE_SIZE));
        }
        self.blocks.learn(linear, key, number);
        Ok(number)
    }

    /// Whether a block known by its place is what memory holds there, the page that it crosses into included.
    fn is_good(&mut self, number: u32, linear: u64) -> R<bool> {
        let block = self.blocks.get_mut(number);
        let ram = &self.cpu.ram;
        if !block.is_current(ram) && !block.renew(ram) {
            return Ok(false);
        }
        // Last, since only an instruction that does cross may fault for the page that it crosses into.
        Ok(match block.second {
            Some((second, _)) => self.cpu.second_page(linear)? == second,
            None => true,
        })
    }

    fn decode(&mut self, linear: u64, at: Offset) -> R<u32> {
        let cpu = &mut self.cpu;
        cpu.figures.decoded += 1;
        let version = cpu.ram.flags().watch_code(at.page());
        let room = (PAGE_SIZE - at.0 % PAGE_SIZE) as usize;
        let room = room.min(decode::ENOUGH);
        let mut bytes = [0; decode::ENOUGH + decode::LONGEST];
        cpu.ram.copy_out(at, &mut bytes[..room]);
        let mut run = decode::run(cpu.mode, &bytes[..room]);
        let mut second = None;
        if run.ops.is_empty() {
            let place = cpu.second_page(linear)?;
            second = Some((place, cpu.ram.flags().watch_code(place.page())));
            let both = room + decode::LONGEST;
            cpu.ram.copy_out(place, &mut bytes[room..both]);
            run = decode::run(cpu.mode, &bytes[..both]);
            run.truncate_to_one();
        }
        let debugger = cpu.debugger.as_ref();
        let checks = debugger.is_some_and(|debugger| debugger.mark(linear, &mut run.ops));
        let block = Block {
            bytes: bytes[..usize::from(run.len)].into(),
            branches: run.branches,
            checks,
            heat: 0,
            made_for: None,
            kept_at: 0,
            ops: run.ops.into(),
            code: (at, version),
            second,
        };
        Ok(self.blocks.insert(at, Kind::of(cpu.mode), block))
    }
}

impl Cpu {
    /// Where code at CS:RIP lies.
    fn code_place(&mut self, linear: u64) -> R<Offset> {
        self.check_ip()?;
        match self.place(linear, 1, Access::Fetch, self.mmu.privilege)? {
            Place::Ram(at) => Ok(at),
            // Nothing but RAM holds code on this machine; what is not there reads as ones, an invalid opcode.
            Place::Device(_) => Err(UD),
        }
    }

    /// Checks RIP before a fetch that was not made before.
    fn check_ip(&self) -> R {
        let good = if self.mode.is_64bit() {
            self.is_canonical(self.rip)
        } else {
            self.rip <= u64::from(self.seg[1].limit)
        };
        if good { Ok(()) } else { Err(GP0) }
    }

    /// The start of the page after that of `linear`, for the instruction at RIP that crosses into it.
    fn second_page(&mut self, linear: u64) -> R<Offset> {
        let room = PAGE_SIZE - linear % PAGE_SIZE;
        let mut next = linear.wrapping_add(room);
        if !self.mode.is_64bit() {
            next &= 0xffff_ffff;
            if self.rip + room > u64::from(self.seg[1].limit) {
                return Err(GP0);
            }
        }
        match self.place(next, 1, Access::Fetch, self.mmu.privilege)? {
            Place::Ram(at) => Ok(at),
            Place::Device(_) => Err(UD),
        }
    }

    /// How many of a block's first `most` ops lie inside CS; #GP when not even the first does.
    #[inline(always)]
    fn within_limit(&self, block: &Block, most: usize) -> R<usize> {
        let room = (u64::from(self.seg[1].limit) + 1).saturating_sub(self.rip);
        if block.bytes.len() as u64 <= room {
            return Ok(most);
        }
        let inside = |op: &Op| u64::from(op.at) + u64::from(op.len) <= room;
        match block.ops.iter().take_while(|op| inside(op)).count() {
            0 => Err(GP0),
            inside => Ok(inside.min(most)),
        }
    }
}

impl Cpu {
    /// Executes the block at RIP, or its first `most` instructions.
    #[inline(always)]
    fn execute(&mut self, block: &Block, most: usize) -> R {
        let start = self.rip;
        self.ctx.gpr[dbt::Context::BASE] = start;
        self.limit = block.ops.len().min(most);
        if !self.mode.is_64bit() {
            self.limit = self.within_limit(block, self.limit)?;
        }
        let ops = &block.ops[..self.limit];
        self.figures.instructions += ops.len() as u64;
        for op in ops {
            if let Err(trap) = (op.run)(self, op) {
                return if trap == Trap::JUMP {
                    Ok(())
                } else {
                    self.leave(start, op, trap)
                };
            }
            if self.limit == 0 {
                return self.stop(block, op);
            }
        }
        if ops.len() < block.ops.len() || !block.branches {
            // A block has at least one op.
            self.rip = ops.last().map_or(start, |op| self.next_ip(op));
        }
        Ok(())
    }

    /// Ends a block behind `op`, as it asked.
    #[cold]
    fn stop(&mut self, block: &Block, op: &Op) -> R {
        let is_last = std::ptr::eq(op, &raw const block.ops[block.ops.len() - 1]);
        if !is_last || !block.branches {
            self.rip = self.next_ip(op);
        }
        Ok(())
    }

    /// Ends a block at `op` because of a trap.
    #[cold]
    pub(crate) fn leave(&mut self, start: u64, op: &Op, trap: Trap) -> R {
        self.attend |= trap != Trap::JUMP;
        let here = start.wrapping_add(u64::from(op.at)) & self.mode.code.ip_mask();
        match trap {
            Trap::JUMP => Ok(()),
            Trap::NEXT => {
                self.rip = here.wrapping_add(u64::from(op.len)) & self.mode.code.ip_mask();
                Ok(())
            }
            Trap::AGAIN => {
                self.rip = here;
                // An event that comes now must not hit the instruction's breakpoint again.
                self.flags |= x86::flags::RF;
                Ok(())
            }
            Trap::NON_CANONICAL => {
                self.rip = here;
                Err(if op.seg == 2 {
                    crate::trap::SS0
                } else {
                    crate::trap::GP0
                })
            }
            fault => {
                self.rip = here;
                Err(fault)
            }
        }
    }

    /// What the meaning of a linear address as code depends on.
    #[inline(always)]
    pub(crate) fn block_key(&self, linear: u64) -> u64 {
        self.mmu.key(linear) | u64::from(self.mode.kind)
    }
}
