//! What a debugger outside of the guest wants of a processor.
//!
//! Nothing of it is in guest memory, and none of the guest's debug registers is used. Breakpoints are ops of their own
//! in the blocks that are decoded while there are any, in front of every instruction at such an offset in its page:
//! pages may be seen at several linear addresses. Such blocks are never translated. Watched pages are kept from the
//! TLB, as those of the guest's own watchpoints are.

use iface::{Debug, Stop, Watch};
use mem::PAGE_MASK;

use crate::block::{BlockCache, Op};
use crate::cpu::Cpu;
use crate::run::Processor;
use crate::trap::{R, Trap};

/// A debugger, as long as it wants anything.
#[derive(Debug, Default)]
pub(crate) struct Debugger {
    wanted: Debug,
    /// Why the processor is to stop before the next instruction.
    stop: Option<Stop>,
}

/// The op in front of an instruction that may have a breakpoint. It has no bytes.
fn check(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.place_of(op);
    cpu.debug_break(linear)
}

impl Debugger {
    fn breaks_at(&self, linear: u64) -> bool {
        !self.wanted.step && self.wanted.breakpoints.contains(&linear)
    }

    /// Whether an instruction at this offset in its page may have a breakpoint.
    fn may_break(&self, linear: u64) -> bool {
        let offset = |address: u64| address & !PAGE_MASK;
        let mut breakpoints = self.wanted.breakpoints.iter();
        breakpoints.any(|&address| offset(address) == offset(linear))
    }

    /// Puts checks into a block that begins at `linear`; whether there are any.
    pub(crate) fn mark(&self, linear: u64, ops: &mut Vec<Op>) -> bool {
        let before = ops.len();
        for index in (0..before).rev() {
            let op = ops[index];
            if self.may_break(linear.wrapping_add(op.at.into())) {
                ops.insert(
                    index,
                    Op {
                        run: check,
                        len: 0,
                        ..op
                    },
                );
            }
        }
        ops.len() > before
    }
}

impl Op {
    /// Whether it is a check for breakpoints.
    pub(crate) fn is_check(&self) -> bool {
        self.len == 0
    }
}

impl Cpu {
    /// The linear address of an op of the running block.
    fn place_of(&self, op: &Op) -> u64 {
        let start = self.ctx.gpr[dbt::Context::BASE];
        let here = start.wrapping_add(op.at.into()) & self.mode.code.ip_mask();
        if self.mode.is_64bit() {
            here
        } else {
            self.seg[1].base.wrapping_add(here) & 0xffff_ffff
        }
    }

    /// Stops in front of an instruction with a breakpoint.
    ///
    /// # Errors
    /// [`Trap::STOP`].
    pub(crate) fn debug_break(&mut self, linear: u64) -> R {
        match &mut self.debugger {
            Some(debugger) if debugger.breaks_at(linear) => {
                debugger.stop = Some(Stop::Breakpoint);
                Err(Trap::STOP)
            }
            _ => Ok(()),
        }
    }

    /// Whether the debugger wants one instruction.
    pub(crate) fn is_debug_step(&self) -> bool {
        self.debugger
            .as_ref()
            .is_some_and(|debugger| debugger.wanted.step)
    }

    /// Whether the debugger watches something in the page of `linear`.
    pub(crate) fn is_debug_watched(&self, linear: u64) -> bool {
        let Some(debugger) = &self.debugger else {
            return false;
        };
        let mut watches = debugger.wanted.watchpoints.iter();
        watches.any(|watch| watch.address & PAGE_MASK == linear & PAGE_MASK)
    }

    /// Notes that an access took the slow path, in case it is watched; the processor stops behind the instruction.
    pub(crate) fn debug_watch(&mut self, linear: u64, bytes: u64, write: bool) {
        let Some(debugger) = &mut self.debugger else {
            return;
        };
        let hits = |watch: &&Watch| {
            let (start, len) = (watch.address, watch.len);
            let meets = linear.wrapping_sub(start) < len || start.wrapping_sub(linear) < bytes;
            meets && (write || watch.reads)
        };
        if let Some(&watch) = debugger.wanted.watchpoints.iter().find(hits) {
            debugger.stop = Some(Stop::Watch(watch));
            self.limit = 0;
            self.attend = true;
        }
    }

    /// Why the debugger wants the processor to stop, if it does.
    pub(crate) fn take_stop(&mut self) -> Option<Stop> {
        self.debugger.as_mut()?.stop.take()
    }

    /// Whether the debugger wants the processor to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.debugger
            .as_ref()
            .is_some_and(|debugger| debugger.stop.is_some())
    }
}

impl Processor {
    /// Executes the one instruction that the debugger wants.
    ///
    /// # Errors
    /// [`Trap::STOP`], or [`Trap::SHUTDOWN`] after a triple fault.
    pub(crate) fn debug_step(&mut self) -> R {
        self.advance_one()?;
        if let Some(debugger) = &mut self.cpu.debugger {
            debugger.stop.get_or_insert(Stop::Step);
        }
        Err(Trap::STOP)
    }

    /// Takes what a debugger wants.
    pub(crate) fn set_debug(&mut self, debug: &Debug) {
        let old = self.cpu.debugger.take().unwrap_or_default().wanted;
        if old.breakpoints != debug.breakpoints {
            self.blocks = BlockCache::new();
            if let Some(translation) = &mut self.translation {
                translation.forget();
            }
        }
        if old.watchpoints != debug.watchpoints {
            self.cpu.mmu.flush_all(self.cpu.pcid());
        }
        if !debug.is_idle() {
            self.cpu.debugger = Some(Box::new(Debugger {
                wanted: debug.clone(),
                stop: None,
            }));
        }
        self.cpu.attend = true;
    }
}
