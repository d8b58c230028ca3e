//! What generated code needs to pass from user to supervisor by SYSCALL, and back by SYSRET or IRET, without being left.
//!
//! Code on the other side is found in that side's jump table, under its address space's number, and probes that side's
//! table of the TLB. All of it belongs to what [`crate::Blocks::open_gates`] was told last; who changes what the keys
//! derive from tells it again, or closes the gates.
//!
//! IRET returns by a frame with selectors, whose descriptors it loads. Code compares both with those of SYSRET's segments,
//! and of SYSCALL's where it stays at its privilege level: then the segments come to be what SYSRET makes of them, or stay
//! what they are.

/// A way that code passed from one privilege to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// SYSCALL.
    In,
    /// SYSRET to 64-bit code, or IRET to the same segments.
    Out,
}

/// Two segments side by side in the GDT that code may return to by IRET.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Segments {
    /// Linear address of their descriptors.
    pub at: u64,
    /// What must be there, for the segments to be those that SYSCALL or SYSRET loads.
    pub descriptors: [u64; 2],
    /// Selector of CS.
    pub code: u32,
    /// Selector of SS. On the supervisor's side that which SS has at present: it may be null, or [`Segments::NONE`] where CS
    /// and SS are not those that SYSCALL loads.
    pub stack: u32,
}

impl Segments {
    /// No selector.
    pub const NONE: u32 = u32::MAX;
}

/// What IRET must find to be executed by code.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Iret {
    /// Not zero while it changes nothing that code doesn't know: NMIs are not blocked, there are no instruction breakpoints.
    pub open: u32,
    /// Not zero while the outer level may keep all data segments.
    pub outwards: u32,
    /// Where it stays at its privilege level: CS, then SS.
    pub inner: Segments,
    /// Where it returns to users: SS, then CS.
    pub outer: Segments,
    /// Selector of the SS that SYSCALL loads.
    pub syscall_stack: u32,
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

    /// Whether nobody may pass, wherever code is entered.
    #[inline(always)]
    pub fn are_closed(&self) -> bool {
        self.supervisor.jumps == 0
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
