//! The machine as the protocol sees it: one process, a thread for each processor.

use std::num::NonZeroUsize;

use gdbstub::common::{Signal, Tid};
use gdbstub::stub::MultiThreadStopReason;
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadResume, MultiThreadResumeOps, MultiThreadSchedulerLocking,
    MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps,
    SwBreakpoint, SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use iface::{EngineError, Watch};
use machine::Debugger;
use machine::debug::Plan;
use x86::state::Activity;

use crate::register::{Registers, X86};

/// EFAULT, as the protocol numbers errors.
const FAULT: u8 = 14;
/// EINVAL.
const INVALID: u8 = 22;

/// The machine, and what the debugger has said of it so far.
pub(crate) struct Guest {
    pub(crate) debugger: Debugger,
    /// By processor, where the debugger has said.
    plans: Vec<Option<Plan>>,
    /// Who has no plan stands.
    locked: bool,
    /// Watchpoints as the debugger set them: address, length, kind.
    watches: Vec<(u64, u64, WatchKind)>,
}

/// The thread that a processor is.
pub(crate) fn thread(processor: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(processor)
}

/// The processor that a thread is.
fn processor(thread: Tid) -> usize {
    thread.get() - 1
}

impl Guest {
    pub(crate) fn new(debugger: Debugger) -> Self {
        Self {
            plans: vec![None; debugger.count()],
            locked: false,
            debugger,
            watches: Vec::new(),
        }
    }

    /// The debugger is gone: the guest goes on.
    pub(crate) fn detach(&mut self) {
        self.watches.clear();
        self.debugger.detach();
    }

    /// A watched piece was accessed: in the debugger's words.
    pub(crate) fn watch_reason(&self, tid: Tid, piece: Watch) -> MultiThreadStopReason<u64> {
        let holds = |(address, len, _): &&(u64, u64, WatchKind)| {
            (*address..address.saturating_add(*len)).contains(&piece.address)
        };
        let whole = self.watches.iter().find(holds);
        let (addr, kind) = whole.map_or(
            (piece.address, WatchKind::ReadWrite),
            |(address, _, kind)| (*address, *kind),
        );
        MultiThreadStopReason::Watch { tid, kind, addr }
    }

    fn plan(&mut self, thread: Tid, plan: Plan) {
        if let Some(slot) = self.plans.get_mut(processor(thread)) {
            *slot = Some(plan);
        }
    }
}

/// What concerns the session only where nothing else helps.
fn nonfatal(error: EngineError) -> TargetError<EngineError> {
    match error {
        EngineError::State(_) | EngineError::Unsupported(_) => TargetError::Errno(INVALID),
        error => TargetError::Fatal(error),
    }
}

impl Target for Guest {
    type Arch = X86;
    type Error = EngineError;

    fn base_ops(&mut self) -> BaseOps<'_, X86, EngineError> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadBase for Guest {
    fn read_registers(&mut self, registers: &mut Registers, tid: Tid) -> TargetResult<(), Self> {
        let state = self.debugger.state(processor(tid)).map_err(nonfatal)?;
        *registers = Registers::of(state);
        Ok(())
    }

    fn write_registers(&mut self, registers: &Registers, tid: Tid) -> TargetResult<(), Self> {
        let index = processor(tid);
        let mut state = self.debugger.state(index).map_err(nonfatal)?.clone();
        registers.change(&mut state);
        self.debugger.set_state(index, state).map_err(nonfatal)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        match self.debugger.read(processor(tid), start, data) {
            0 if !data.is_empty() => Err(TargetError::Errno(FAULT)),
            count => Ok(count),
        }
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let written = self.debugger.write(processor(tid), start, data);
        written.then_some(()).ok_or(TargetError::Errno(FAULT))
    }

    fn list_active_threads(&mut self, each: &mut dyn FnMut(Tid)) -> Result<(), EngineError> {
        (0..self.debugger.count()).for_each(|index| each(thread(index)));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl ThreadExtraInfo for Guest {
    fn thread_extra_info(&self, tid: Tid, to: &mut [u8]) -> Result<usize, EngineError> {
        let state = self.debugger.peek(processor(tid))?;
        let activity = match state.events.activity {
            Activity::Running => "",
            Activity::Halted => ", halted",
            Activity::WaitForSipi => ", not started",
            Activity::Shutdown => ", shut down",
        };
        let text = format!("CPU {}{activity}, {}", processor(tid), state.location());
        let len = text.len().min(to.len());
        to[..len].copy_from_slice(&text.as_bytes()[..len]);
        Ok(len)
    }
}

impl MultiThreadResume for Guest {
    fn resume(&mut self) -> Result<(), EngineError> {
        let other = if self.locked { Plan::Stand } else { Plan::Run };
        let plans: Vec<_> = self
            .plans
            .iter()
            .map(|plan| plan.unwrap_or(other))
            .collect();
        self.debugger.go(&plans)
    }

    fn clear_resume_actions(&mut self) -> Result<(), EngineError> {
        self.plans.fill(None);
        self.locked = false;
        Ok(())
    }

    fn set_resume_action_continue(
        &mut self,
        tid: Tid,
        _: Option<Signal>,
    ) -> Result<(), EngineError> {
        self.plan(tid, Plan::Run);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for Guest {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), EngineError> {
        self.plan(tid, Plan::Step);
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Guest {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), EngineError> {
        self.locked = true;
        Ok(())
    }
}

impl Breakpoints for Guest {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Guest {
    fn add_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.debugger.add_breakpoint(address))
    }

    fn remove_sw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.debugger.remove_breakpoint(address))
    }
}

impl HwBreakpoint for Guest {
    fn add_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.debugger.add_breakpoint(address))
    }

    fn remove_hw_breakpoint(&mut self, address: u64, _: usize) -> TargetResult<bool, Self> {
        Ok(self.debugger.remove_breakpoint(address))
    }
}

impl HwWatchpoint for Guest {
    fn add_hw_watchpoint(
        &mut self,
        address: u64,
        len: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        let reads = kind != WatchKind::Write;
        let added = self.debugger.add_watchpoint(address, len, reads);
        if added {
            self.watches.push((address, len, kind));
        }
        Ok(added)
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: u64,
        len: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        let same = |watch: &(u64, u64, WatchKind)| *watch == (address, len, kind);
        let Some(at) = self.watches.iter().position(same) else {
            return Ok(false);
        };
        self.watches.swap_remove(at);
        let reads = kind != WatchKind::Write;
        Ok(self.debugger.remove_watchpoint(address, len, reads))
    }
}
