//! What generated code needs to pass from user to supervisor by SYSCALL, and back by SYSRET, without being left.
//!
//! Code on the other side is found in that side's jump table, under its address space's number, and probes that side's
//! table of the TLB. All of it belongs to what [`crate::Blocks::open_gates`] was told last; who changes what the keys
//! derive from tells it again, or closes the gates.

/// A way that code passed from one privilege to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// SYSCALL.
    In,
    /// SYSRET to 64-bit code.
    Out,
}

/// What code on one side runs with.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Side {
    /// Address of the jump table; zero while the gates are closed.
    pub(crate) jumps: u64,
    /// As [`crate::Blocks`] numbers address spaces.
    pub(crate) space: u64,
    /// The stack pointer of code there, while code runs on the other side.
    pub(crate) returns: u64,
}

/// Both sides, and what SYSCALL does.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Gates {
    /// Not zero while code runs that may pass.
    pub(crate) open: u64,
    pub(crate) supervisor: Side,
    pub(crate) user: Side,
    /// Address of the TLB's table for users.
    pub user_table: u64,
    /// Where SYSCALL leads (LSTAR).
    pub entry: u64,
    /// What SYSCALL keeps of [`crate::Context::cc`], and of RFLAGS otherwise, but for IF and AC, which it clears.
    pub kept_cc: u64,
    /// See above.
    pub kept_flags: u64,
    /// The last way that was passed since code was entered: 0 for none, else one of the following.
    pub(crate) crossed: u64,
}

/// What [`Gates::crossed`] holds.
pub(crate) const IN: u32 = 1;
pub(crate) const OUT: u32 = 2;

impl Gates {
    /// Nobody may pass from now on.
    pub fn close(&mut self) {
        self.supervisor.jumps = 0;
    }

    /// The last way that was passed since code was entered.
    #[inline(always)]
    pub fn crossed(&self) -> Option<Crossing> {
        match self.crossed as u32 {
            IN => Some(Crossing::In),
            OUT => Some(Crossing::Out),
            _ => None,
        }
    }
}
