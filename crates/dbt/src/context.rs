//! The registers that native code works on.

use crate::gate::{Gates, Iret, Segments, Side};

/// MXCSR of this process's own code: its value after reset, as the ABI has it. The flags may be any.
pub(crate) const HOST_MXCSR: u32 = 0x1f80;

/// A vCPU's registers in the layout that generated code relies on.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Context {
    /// RAX to R15; then [`Context::ZERO`], [`Context::BASE`], and unused slots that make every 5-bit index valid.
    pub gpr: [u64; 32],
    /// CF, PF, AF, ZF, SF and OF in the form of [`crate::cc`].
    pub cc: u64,
    /// MXCSR; while it is in the host's, the flags here may be older.
    pub mxcsr: u32,
    /// What generated code puts back into MXCSR.
    host_mxcsr: u32,
    /// Where generated code looks at the host's MXCSR.
    scratch: u32,
    /// Aligns the vector registers, so that none lies in two cache lines.
    _pad: [u32; 11],
    /// YMM0 to YMM15.
    pub ymm: [[u64; 4]; 16],
    /// Makes every [`crate::Slots`] address lie inside.
    _end: [u64; 32],
    /// Base addresses of FS and GS, for generated blocks, which change them.
    pub segment_base: [u64; 2],
    /// The other base of GS, for SWAPGS.
    pub kernel_gs_base: u64,
    /// How often PAUSE does nothing until it makes room for others.
    pub patience: u32,
    /// RFLAGS without the arithmetic flags, IF and AC, for generated blocks.
    pub system_flags: u64,
    /// AC, in its place: generated blocks of supervisors change it, and with it the TLB's table that they probe.
    pub alignment: u64,
    /// Addresses of the TLB's tables of supervisors: with AC clear, and with AC set.
    pub supervisor_tables: [u64; 2],
    /// CR2, for generated blocks of supervisors, which read it.
    pub cr2: u64,
    /// For SYSCALL, SYSRET and IRET in generated blocks; see `iret`, too.
    pub gates: Gates,
    /// IF, 0 or 1: generated blocks look and change it.
    pub interrupts: u64,
    /// Not zero when something waits that may happen once IF is set.
    pub waiting: u64,
    /// Zero while the x87 registers are in the host's and all of x87's exceptions are masked, for generated blocks.
    pub x87_away: u64,
    /// Address of the last x87 instruction that is not a control instruction; generated blocks change it.
    pub x87_ip: u64,
    /// ES, CS, SS, DS, FS and GS, for generated blocks outside 64-bit mode.
    pub windows: [Window; 6],
    /// What only generated blocks and those who run them use.
    pub(crate) run: Run,
    /// What IRET must find.
    pub iret: Iret,
    /// Selectors by segment register. Generated blocks read them; those of CS and SS are as they were when
    /// code was entered, whatever it has passed since.
    pub selectors: [u16; 6],
    /// Not zero while there are instructions for the bases of FS and GS.
    pub fsgsbase: u32,
    /// Not zero while users may read the TSC.
    pub users_read_tsc: u32,
    /// What RDTSCP tells beside it.
    pub tsc_aux: u32,
    /// Address of a [`Clock`], while code runs.
    pub(crate) clock: u64,
}

/// Tells the TSC.
pub(crate) type Clock<'a> = &'a dyn Fn() -> u64;

/// What a segment lets through outside 64-bit mode.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Window {
    /// Linear address of offset zero.
    pub base: u64,
    /// The offset behind the last byte that may be read; zero when that needs a closer look.
    pub read_end: u64,
    /// The same for writes.
    pub write_end: u64,
}

/// How generated blocks are entered and left.
#[derive(Debug, Clone, Default)]
#[repr(C)]
pub(crate) struct Run {
    /// Address at which to enter.
    pub(crate) target: u64,
    /// Address of the jump table.
    pub(crate) jumps: u64,
    /// Stack pointers: of the code, on the return-address stack for `jumps`, and of those who entered it.
    pub(crate) returns: u64,
    pub(crate) host_stack: u64,
    /// Number of the address space, mode and privilege that `jumps` is for.
    pub(crate) space: u64,
    /// Address of the TLB's table that GS holds.
    pub(crate) table: u64,
    /// Where an indirect branch leads that found nothing in the jump table.
    pub(crate) sought: u64,
    /// Between two parts of a block.
    pub(crate) temporary: u64,
    /// Where the host's processor raised an exception, its vector, and the flags then.
    pub(crate) fault_at: u64,
    pub(crate) fault_vector: u64,
    pub(crate) fault_cc: u64,
    /// The site by which the block was left.
    pub(crate) exit: u32,
    /// How many more indirect branches may lead elsewhere than they are linked to until one of them is linked anew.
    pub(crate) strays: u32,
    /// Zero while the vector registers and MXCSR are in the host's.
    pub(crate) vectors_away: u32,
    /// How many more accesses may find another page than the last time until code is left for it.
    pub(crate) wandered: i32,
    /// Where the one went for which it was left, and the place of its entry in the TLB's table.
    pub(crate) wandered_to: u64,
    pub(crate) wandered_site: u32,
    /// How many more turns the second body of a block may run, where RCX does not count them.
    pub(crate) turns: u32,
    /// 63 and 31.
    pub(crate) masks: [u64; 2],
    /// Host addresses of the ranges that a run of accesses has probed.
    pub(crate) ranges: [u64; 4],
    /// Values of guest registers whose homes the second body of a block has borrowed.
    pub(crate) spilled: [u64; crate::translate::MOST_SPILLED],
}

impl Context {
    /// Index of a slot that is always zero: the base or index of an address that has none.
    pub const ZERO: usize = 16;
    /// Index of a slot that holds RIP as it was at the start of the running block: the base of RIP-relative
    /// addresses, whose displacements the decoder makes relative to it.
    pub const BASE: usize = 17;

    /// Byte offsets that generated code uses.
    pub(crate) const CC: i64 = std::mem::offset_of!(Self, cc) as i64;
    pub(crate) const MXCSR: i64 = std::mem::offset_of!(Self, mxcsr) as i64;
    pub(crate) const HOST_MXCSR: i64 = std::mem::offset_of!(Self, host_mxcsr) as i64;
    pub(crate) const SCRATCH: i64 = std::mem::offset_of!(Self, scratch) as i64;
    pub(crate) const YMM: i64 = std::mem::offset_of!(Self, ymm) as i64;
    pub(crate) const SEGMENT_BASE: i64 = std::mem::offset_of!(Self, segment_base) as i64;
    pub(crate) const KERNEL_GS_BASE: i64 = std::mem::offset_of!(Self, kernel_gs_base) as i64;
    pub(crate) const PATIENCE: i64 = std::mem::offset_of!(Self, patience) as i64;
    pub(crate) const SYSTEM_FLAGS: i64 = std::mem::offset_of!(Self, system_flags) as i64;
    pub(crate) const ALIGNMENT: i64 = std::mem::offset_of!(Self, alignment) as i64;
    pub(crate) const CLOSED_TABLE: i64 = std::mem::offset_of!(Self, supervisor_tables) as i64;
    pub(crate) const OPEN_TABLE: i64 = Self::CLOSED_TABLE + 8;
    pub(crate) const CR2: i64 = std::mem::offset_of!(Self, cr2) as i64;
    const GATES: i64 = std::mem::offset_of!(Self, gates) as i64;
    pub(crate) const SUPERVISOR: i64 = Self::GATES + std::mem::offset_of!(Gates, supervisor) as i64;
    pub(crate) const USER: i64 = Self::GATES + std::mem::offset_of!(Gates, user) as i64;
    pub(crate) const SIDE_SPACE: i64 = std::mem::offset_of!(Side, space) as i64;
    pub(crate) const SIDE_RETURNS: i64 = std::mem::offset_of!(Side, returns) as i64;
    pub(crate) const OPEN: i64 = Self::GATES + std::mem::offset_of!(Gates, open) as i64;
    pub(crate) const USER_TABLE: i64 = Self::GATES + std::mem::offset_of!(Gates, user_table) as i64;
    pub(crate) const ENTRY: i64 = Self::GATES + std::mem::offset_of!(Gates, entry) as i64;
    pub(crate) const KEPT_CC: i64 = Self::GATES + std::mem::offset_of!(Gates, kept_cc) as i64;
    pub(crate) const KEPT_FLAGS: i64 = Self::GATES + std::mem::offset_of!(Gates, kept_flags) as i64;
    pub(crate) const CROSSED: i64 = Self::GATES + std::mem::offset_of!(Gates, crossed) as i64;
    const IRET: i64 = std::mem::offset_of!(Self, iret) as i64;
    pub(crate) const IRET_OPEN: i64 = Self::IRET + std::mem::offset_of!(Iret, open) as i64;
    pub(crate) const IRET_OUTWARDS: i64 = Self::IRET + std::mem::offset_of!(Iret, outwards) as i64;
    pub(crate) const INNER: i64 = Self::IRET + std::mem::offset_of!(Iret, inner) as i64;
    pub(crate) const OUTER: i64 = Self::IRET + std::mem::offset_of!(Iret, outer) as i64;
    pub(crate) const SEGMENTS_AT: i64 = std::mem::offset_of!(Segments, at) as i64;
    pub(crate) const DESCRIPTORS: i64 = std::mem::offset_of!(Segments, descriptors) as i64;
    pub(crate) const CODE_SELECTOR: i64 = std::mem::offset_of!(Segments, code) as i64;
    pub(crate) const STACK_SELECTOR: i64 = std::mem::offset_of!(Segments, stack) as i64;
    pub(crate) const SYSCALL_STACK: i64 =
        Self::IRET + std::mem::offset_of!(Iret, syscall_stack) as i64;
    pub(crate) const SELECTORS: i64 = std::mem::offset_of!(Self, selectors) as i64;
    pub(crate) const FSGSBASE: i64 = std::mem::offset_of!(Self, fsgsbase) as i64;
    pub(crate) const USERS_READ_TSC: i64 = std::mem::offset_of!(Self, users_read_tsc) as i64;
    pub(crate) const TSC_AUX: i64 = std::mem::offset_of!(Self, tsc_aux) as i64;
    pub(crate) const CLOCK: i64 = std::mem::offset_of!(Self, clock) as i64;
    pub(crate) const INTERRUPTS: i64 = std::mem::offset_of!(Self, interrupts) as i64;
    pub(crate) const WAITING: i64 = std::mem::offset_of!(Self, waiting) as i64;
    pub(crate) const X87_AWAY: i64 = std::mem::offset_of!(Self, x87_away) as i64;
    const WINDOWS: i64 = std::mem::offset_of!(Self, windows) as i64;

    /// Offset of a part of a segment's window: base, end of reads, end of writes.
    pub(crate) const fn window(segment: usize, part: i64) -> i64 {
        Self::WINDOWS + (segment * size_of::<Window>()) as i64 + 8 * part
    }

    pub(crate) const X87_IP: i64 = std::mem::offset_of!(Self, x87_ip) as i64;
    const RUN: i64 = std::mem::offset_of!(Self, run) as i64;
    pub(crate) const TARGET: i64 = Self::RUN + std::mem::offset_of!(Run, target) as i64;
    /// Of a 32-bit word behind the context, which is not zero when the vCPU is wanted.
    pub(crate) const ATTENTION: i64 = crate::region::ATTENTION as i64;
    /// Of the one beside it, for calls.
    pub(crate) const CALLS: i64 = crate::region::CALLS as i64;
    pub(crate) const JUMPS: i64 = Self::RUN + std::mem::offset_of!(Run, jumps) as i64;
    pub(crate) const RETURNS: i64 = Self::RUN + std::mem::offset_of!(Run, returns) as i64;
    pub(crate) const HOST_STACK: i64 = Self::RUN + std::mem::offset_of!(Run, host_stack) as i64;
    pub(crate) const SPACE: i64 = Self::RUN + std::mem::offset_of!(Run, space) as i64;
    pub(crate) const TABLE: i64 = Self::RUN + std::mem::offset_of!(Run, table) as i64;
    pub(crate) const SOUGHT: i64 = Self::RUN + std::mem::offset_of!(Run, sought) as i64;
    pub(crate) const TEMPORARY: i64 = Self::RUN + std::mem::offset_of!(Run, temporary) as i64;
    pub(crate) const FAULT_AT: i64 = Self::RUN + std::mem::offset_of!(Run, fault_at) as i64;
    pub(crate) const FAULT_VECTOR: i64 = Self::RUN + std::mem::offset_of!(Run, fault_vector) as i64;
    pub(crate) const FAULT_CC: i64 = Self::RUN + std::mem::offset_of!(Run, fault_cc) as i64;
    pub(crate) const MASK_63: i64 = Self::RUN + std::mem::offset_of!(Run, masks) as i64;
    pub(crate) const MASK_31: i64 = Self::MASK_63 + 8;
    pub(crate) const RANGES: i64 = Self::RUN + std::mem::offset_of!(Run, ranges) as i64;
    pub(crate) const SPILLED: i64 = Self::RUN + std::mem::offset_of!(Run, spilled) as i64;
    pub(crate) const EXIT: i64 = Self::RUN + std::mem::offset_of!(Run, exit) as i64;
    pub(crate) const STRAYS: i64 = Self::RUN + std::mem::offset_of!(Run, strays) as i64;
    pub(crate) const WANDERED: i64 = Self::RUN + std::mem::offset_of!(Run, wandered) as i64;
    pub(crate) const WANDERED_TO: i64 = Self::RUN + std::mem::offset_of!(Run, wandered_to) as i64;
    pub(crate) const WANDERED_SITE: i64 =
        Self::RUN + std::mem::offset_of!(Run, wandered_site) as i64;
    pub(crate) const TURNS: i64 = Self::RUN + std::mem::offset_of!(Run, turns) as i64;
    pub(crate) const VECTORS_AWAY: i64 = Self::RUN + std::mem::offset_of!(Run, vectors_away) as i64;
}

impl Default for Context {
    fn default() -> Self {
        Self {
            gpr: [0; 32],
            cc: crate::cc::FIXED,
            mxcsr: 0x1f80,
            host_mxcsr: HOST_MXCSR,
            scratch: 0,
            _pad: [0; 11],
            ymm: [[0; 4]; 16],
            _end: [0; 32],
            segment_base: [0; 2],
            kernel_gs_base: 0,
            patience: 0,
            system_flags: 2,
            alignment: 0,
            supervisor_tables: [0; 2],
            cr2: 0,
            gates: Gates::default(),
            interrupts: 0,
            waiting: 0,
            x87_away: 1,
            x87_ip: 0,
            windows: [Window::default(); 6],
            run: Run {
                vectors_away: 1,
                masks: [63, 31],
                ..Run::default()
            },
            iret: Iret::default(),
            selectors: [0; 6],
            fsgsbase: 0,
            users_read_tsc: 0,
            tsc_aux: 0,
            clock: 0,
        }
    }
}
