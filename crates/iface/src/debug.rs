//! What a debugger outside of the guest wants of its processors. The guest's own debug registers are another matter.

/// Data that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watch {
    /// Linear address, aligned to the length.
    pub address: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub len: u64,
    /// Whether reads count as writes do.
    pub reads: bool,
}

/// When a vCPU stops for its debugger. Its guest notices nothing of it, but for what [`Debug::traps`] says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Debug {
    /// Behind the next instruction. Breakpoints don't count meanwhile, and a running processor takes no interrupts.
    pub step: bool,
    /// Before the instructions at these linear addresses, also before the one at which it is.
    pub breakpoints: Vec<u64>,
    /// Behind instructions that access these.
    pub watchpoints: Vec<Watch>,
    /// At these linear addresses, where the debugger has written INT3.
    pub traps: Vec<u64>,
}

impl Debug {
    /// Whether a debugger wants anything.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a vCPU stopped for its debugger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The step is done.
    Step,
    /// RIP is at a breakpoint, or at an INT3 of the debugger's.
    Breakpoint,
    /// The instruction before RIP accessed watched data.
    Watch(Watch),
}
