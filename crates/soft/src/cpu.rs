//! One processor's registers, in the layout in which it executes.

use std::sync::Arc;

use dbt::{Registers, cc};
use iface::Io;
use mem::{GuestRam, Runner};
use x86::Vector;
use x86::descriptor::{Segment, SegmentRegister, Table};
use x86::flags;
use x86::msr::Msrs;
use x86::state::{Activity, CpuState};

use crate::debugger::Debugger;
use crate::engine::{Config, Shared};
use crate::exec::x87::X87;
use crate::figure::Figures;
use crate::inbox::{Inbox, attention};
use crate::lapic::Lapic;
use crate::lockstep::Rehearsal;
use crate::mmu::Mmu;
use crate::mode::Mode;
use crate::observer::Activity as Now;
use crate::paravirt::{OfferedEoi, Steal};
use crate::patience::Patience;

/// A processor. Fields that threads other than its own touch live behind `Arc`s.
pub(crate) struct Cpu {
    /// General registers, arithmetic flags, MXCSR and vector registers.
    pub(crate) ctx: Registers,
    /// RIP: of the next instruction between blocks; see the crate's page for what it is within one.
    pub(crate) rip: u64,
    /// RFLAGS without the arithmetic flags.
    pub(crate) flags: u64,
    pub(crate) mode: Mode,
    /// Nobody but this processor can tell whether user code's locked instructions are locked: there is no other processor,
    /// and user code has never accessed a device. (What devices and a kernel tell each other needs the kernel's locks.)
    pub(crate) is_unshared: bool,
    /// By [`SegmentRegister`].
    pub(crate) seg: [Segment; 6],
    pub(crate) ldtr: Segment,
    pub(crate) tr: Segment,
    pub(crate) gdtr: Table,
    pub(crate) idtr: Table,
    pub(crate) cr0: u64,
    pub(crate) cr3: u64,
    pub(crate) cr4: u64,
    pub(crate) efer: u64,
    pub(crate) xcr0: u64,
    pub(crate) pdpte: [u64; 4],
    /// DR0 to DR3, DR6, DR7.
    pub(crate) dr: [u64; 6],
    pub(crate) msrs: Msrs,
    /// The linear address of the page fault that is being raised; becomes CR2 when it is delivered.
    pub(crate) fault_address: u64,
    /// Executing, halted, waiting for a SIPI, or shut down; anything but running ends the run of blocks.
    pub(crate) activity: Activity,
    /// What could not be delivered, so that the processor shut down: the first event of the chain.
    pub(crate) shutdown_cause: Option<Vector>,
    /// NMIs are blocked until IRET.
    pub(crate) nmi_blocked: bool,
    /// The next instruction is in the shadow of STI or MOV SS.
    pub(crate) shadow: bool,
    /// Debug exceptions wait until after the next instruction, too (MOV SS).
    pub(crate) debug_shadow: bool,
    /// An instruction breakpoint is enabled.
    pub(crate) code_breakpoints: bool,
    /// The running instruction began, or (SYSCALL, SYSRET) ended, with TF set.
    pub(crate) single_step: bool,
    /// B0 to B3 and BS of debug traps to be raised after the running instruction, as in DR6.
    pub(crate) debug_traps: u64,
    /// What IRET in generated code depends on may have changed: segments, NMIs, code breakpoints.
    pub(crate) returns_changed: bool,
    /// A debugger outside of the guest, while it wants anything.
    pub(crate) debugger: Option<Box<Debugger>>,
    pub(crate) x87: X87,
    pub(crate) mmu: Mmu,
    /// Ops of the running block that may still run; [`Cpu::code_written`] ends the block after the running op.
    pub(crate) limit: usize,
    /// Something happened that the run loop must look at before the next block: interrupts were enabled, a
    /// shadow began, a debug trap is due, single-stepping was switched on, the activity changed. A handler that
    /// returns [`crate::trap::Trap::NEXT`] need not set it.
    pub(crate) attend: bool,
    /// IRET came back to an instruction that had faulted: what it needs is likely to need the interpreter again.
    pub(crate) retries: bool,
    /// Stores that are to be undone.
    pub(crate) rehearsal: Rehearsal,
    /// An NMI waits.
    pub(crate) nmi_pending: bool,
    /// An ExtINT message from the I/O APIC waits.
    pub(crate) extint_pending: bool,
    /// What came with a loaded state, to be delivered before anything else: an exception and its error code, an
    /// interrupt that had been accepted.
    pub(crate) injected_exception: Option<(u8, u32)>,
    pub(crate) injected_interrupt: Option<u8>,
    pub(crate) lapic: Lapic,
    pub(crate) patience: Patience,
    /// The guest was allowed to end the interrupt in service by a note in memory.
    pub(crate) offered_eoi: Option<OfferedEoi>,
    pub(crate) steal: Steal,
    pub(crate) figures: Figures,
    /// Tells others what it does.
    pub(crate) doing: Arc<Now>,
    /// Added to the scaled clock it gives the TSC, TSC_ADJUST included.
    pub(crate) tsc_offset: u64,
    /// APIC ID, and index among the vCPUs.
    pub(crate) id: u32,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) io: Arc<dyn Io>,
    pub(crate) shared: Arc<Shared>,
    /// Its own among the shared ones.
    pub(crate) inbox: Arc<Inbox>,
    /// What others know of it as one that runs generated code.
    pub(crate) runner: Arc<Runner>,
}

impl Cpu {
    /// A processor in its state after RESET; `None` while there is one with this number.
    pub(crate) fn new(shared: Arc<Shared>, id: u32, io: Arc<dyn Io>) -> Option<Self> {
        let reset = CpuState::reset(id);
        let inbox = shared.inboxes[id as usize].clone();
        let mut ctx = inbox.registers()?;
        let expelled = inbox.clone();
        let expel = move || expelled.post(attention::CODE);
        let runner = shared.ram.flags().register(id, Box::new(expel));
        ctx.gpr[..16].copy_from_slice(&reset.gpr);
        ctx.cr2 = reset.cr2;
        ctx.selectors = reset.segments.map(|segment| segment.selector);
        let mut cpu = Self {
            ctx,
            rip: reset.rip,
            flags: reset.rflags,
            mode: Mode::REAL,
            is_unshared: shared.inboxes.len() == 1,
            seg: reset.segments,
            ldtr: reset.ldtr,
            tr: reset.tr,
            gdtr: reset.gdtr,
            idtr: reset.idtr,
            cr0: reset.cr0,
            cr3: reset.cr3,
            cr4: reset.cr4,
            efer: reset.efer,
            xcr0: reset.xcr0,
            pdpte: reset.pdpte,
            dr: reset.dr,
            msrs: reset.msrs,
            fault_address: 0,
            activity: reset.events.activity,
            shutdown_cause: None,
            nmi_blocked: false,
            shadow: false,
            debug_shadow: false,
            code_breakpoints: false,
            single_step: false,
            debug_traps: 0,
            returns_changed: true,
            debugger: None,
            x87: X87::default(),
            mmu: Mmu::new(shared.ram.clone()),
            limit: 0,
            attend: true,
            retries: false,
            rehearsal: Rehearsal::default(),
            nmi_pending: false,
            extint_pending: false,
            injected_exception: None,
            injected_interrupt: None,
            lapic: Lapic::new(id),
            patience: Patience::default(),
            offered_eoi: None,
            steal: Steal::default(),
            figures: Figures::default(),
            doing: shared.activities[id as usize].clone(),
            // The TSC counts from zero.
            tsc_offset: shared.scale.ticks(shared.start).wrapping_neg(),
            id,
            ram: shared.ram.clone(),
            io,
            inbox,
            runner,
            shared,
        };
        cpu.refresh_mode();
        cpu.publish();
        Some(cpu)
    }

    /// A processor after RESET that belongs to no engine.
    pub(crate) fn alone(config: &Config, id: u32, io: Arc<dyn Io>) -> Self {
        let shared = Shared::new(config).expect("the host grants memory for registers");
        Self::new(Arc::new(shared), id, io).expect("it is the first one")
    }

    /// All of RFLAGS.
    pub(crate) fn rflags(&self) -> u64 {
        self.flags | cc::to_rflags(self.ctx.cc)
    }

    /// Replaces all of RFLAGS, without any privilege check; the caller refreshes the mode when VM or AC changed.
    pub(crate) fn set_rflags(&mut self, value: u64) {
        self.ctx.cc = cc::from_rflags(value);
        let old = self.flags;
        self.flags = value & (flags::ALL & !flags::ARITHMETIC) | flags::FIXED;
        let enabled = self.flags & !old & flags::IF != 0;
        self.attend |=
            enabled && self.is_interrupt_waiting() || self.flags & (flags::TF | flags::RF) != 0;
    }

    /// Decoded code was overwritten, perhaps that of the running block: leaves it after the running op.
    #[cold]
    pub(crate) fn code_written(&mut self) {
        self.limit = 0;
    }

    /// Whether another thread wants something of this vCPU; long instructions look at it now and then, and make
    /// way by [`crate::trap::Trap::AGAIN`].
    #[inline(always)]
    pub(crate) fn is_wanted(&self) -> bool {
        self.inbox.is_wanted()
    }

    /// PAUSE: the guest spins. Whom it waits for may be a vCPU without a host core of its own, so now and then
    /// this one makes room.
    pub(crate) fn spin(&mut self) {
        const PATIENCE: u32 = 256;
        // Generated code counts too, and leaves below zero.
        self.ctx.patience = self.ctx.patience.wrapping_sub(1);
        if self.ctx.patience > PATIENCE {
            self.ctx.patience = PATIENCE;
            if self.shared.inboxes.len() > 1 {
                std::thread::yield_now();
            }
        }
    }

    /// A device was accessed: what it asked for in turn (an interrupt, the machine's end) comes right after the
    /// running instruction.
    pub(crate) fn make_way(&mut self) {
        if self.is_wanted() {
            self.limit = 0;
        }
        if self.is_unshared && self.mode.cpl == 3 {
            self.share();
        }
    }

    /// User code may be a device's driver.
    #[cold]
    fn share(&mut self) {
        self.is_unshared = false;
        self.refresh_privilege();
        self.limit = 0;
    }

    pub(crate) fn segment(&self, register: SegmentRegister) -> &Segment {
        &self.seg[register as usize]
    }
}
