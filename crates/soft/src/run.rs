//! The run loop of one processor.

use mem::PAGE_SIZE;

use crate::block::{Block, BlockCache, Kind, Op, decode};
use crate::cpu::Cpu;
use crate::mmu::{Access, Place};
use crate::trap::{R, Trap, UD};

/// A processor and its decoded code, apart so that a block can be borrowed while it changes the processor.
pub(crate) struct Processor {
    pub(crate) cpu: Cpu,
    pub(crate) blocks: BlockCache,
}

impl Processor {
    /// Executes one block, or its first `most` instructions.
    pub(crate) fn step(&mut self, most: usize) -> R {
        let number = self.lookup()?;
        let block = self.blocks.get(number);
        let cpu = &mut self.cpu;
        let start = cpu.rip;
        cpu.ctx.gpr[dbt::Context::BASE] = start;
        cpu.limit = block.ops.len().min(most);
        let mut done = 0;
        while done < cpu.limit {
            let op = &block.ops[done];
            done += 1;
            if let Err(trap) = (op.run)(cpu, op) {
                return cpu.leave(start, op, trap);
            }
        }
        if let Some(op) = block.ops.get(done.wrapping_sub(1))
            && (done < block.ops.len() || !block.branches)
        {
            cpu.rip =
                start.wrapping_add(u64::from(op.at) + u64::from(op.len)) & cpu.mode.code.ip_mask();
        }
        Ok(())
    }

    /// The block at CS:RIP.
    #[inline(always)]
    fn lookup(&mut self) -> R<u32> {
        let linear = self.cpu.linear_ip()?;
        let key = self.cpu.block_key();
        match self.blocks.jump(&self.cpu.ram, linear, key) {
            Some(block) => Ok(block),
            None => self.enter(linear, key),
        }
    }

    #[cold]
    fn enter(&mut self, linear: u64, key: u64) -> R<u32> {
        let cpu = &mut self.cpu;
        let Place::Ram(at) = cpu.place(linear, 1, Access::Fetch, cpu.mmu.privilege)? else {
            // Nothing but RAM holds code on this machine; what is not there reads as ones, an invalid opcode.
            return Err(UD);
        };
        let kind = Kind::of(cpu.mode);
        if let Some(block) = self.blocks.find(&cpu.ram, at, kind) {
            self.blocks.learn(linear, key, block);
            return Ok(block);
        }
        let version = cpu.ram.flags().watch_code(at.page());
        let room = (PAGE_SIZE - at.0 % PAGE_SIZE) as usize;
        let mut bytes = [0; PAGE_SIZE as usize];
        let bytes = &mut bytes[..room];
        cpu.ram.copy_out(at, bytes);
        let run = decode::run(cpu.mode, bytes);
        if run.ops.is_empty() {
            return self.enter_crossing(linear, at, version);
        }
        let block = Block {
            len: run.len,
            branches: run.branches,
            ops: run.ops.into(),
            code: [Some((at, version)), None],
        };
        let number = self.blocks.insert(at, kind, block);
        self.blocks.learn(linear, key, number);
        Ok(number)
    }

    /// An instruction that crosses the end of its page: decoded each time, since its second page may be mapped
    /// anew at any time.
    fn enter_crossing(&mut self, linear: u64, at: mem::Offset, version: u32) -> R<u32> {
        let cpu = &mut self.cpu;
        let room = (PAGE_SIZE - at.0 % PAGE_SIZE) as usize;
        let mut bytes = [0; 30];
        cpu.ram.copy_out(at, &mut bytes[..room]);
        let next = cpu.wrap(linear.wrapping_add(room as u64));
        let Place::Ram(second) = cpu.place(next, 1, Access::Fetch, cpu.mmu.privilege)? else {
            return Err(UD);
        };
        let second_version = cpu.ram.flags().watch_code(second.page());
        cpu.ram.copy_out(second, &mut bytes[room..room + 15]);
        let mut run = decode::run(cpu.mode, &bytes[..room + 15]);
        run.truncate_to_one();
        let code = [Some((at, version)), Some((second, second_version))];
        let block = Block {
            len: run.len,
            branches: run.branches,
            ops: run.ops.into(),
            code,
        };
        Ok(self.blocks.insert(at, Kind::of(cpu.mode), block))
    }
}

impl Cpu {
    /// Ends a block at `op` because of a trap.
    #[cold]
    fn leave(&mut self, start: u64, op: &Op, trap: Trap) -> R {
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
    fn block_key(&self) -> u64 {
        let mode = u64::from(Kind::of(self.mode).bits()) | (self.mmu.privilege as u64) << 4;
        u64::from(self.mmu.epoch) << 32 | self.mmu.space() << 8 | mode
    }
}
