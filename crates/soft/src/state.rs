//! Between a running processor and [`CpuState`].

use iface::EngineError;
use x86::state::Events;
use x86::{CpuState, cr};

use crate::cpu::Cpu;
use crate::inbox::attention;
use crate::lapic::Local;

impl Cpu {
    /// The complete state, with what others have posted.
    pub(crate) fn save_state_and_inbox(&self) -> CpuState {
        let mut state = self.save_state();
        let bits = self.inbox.peek();
        let mut lapic = self.lapic.clone();
        lapic.preview(&self.inbox);
        state.events.nmi_pending |= bits & attention::NMI != 0;
        if bits & attention::LINT1 != 0 {
            state.events.nmi_pending |= lapic.lint1() == Local::Nmi;
        }
        state.lapic = lapic.save(self.now());
        if bits & attention::INIT != 0 {
            state.init(self.id);
        }
        if bits & attention::SIPI != 0 {
            state.startup(self.inbox.startup_vector());
        }
        state
    }

    /// The complete state, but for the inbox.
    pub(crate) fn save_state(&self) -> CpuState {
        let now = self.now();
        let mut gpr = [0; 16];
        gpr.copy_from_slice(&self.ctx.gpr[..16]);
        CpuState {
            gpr,
            rip: self.rip,
            rflags: self.rflags(),
            segments: self.seg,
            ldtr: self.ldtr,
            tr: self.tr,
            gdtr: self.gdtr,
            idtr: self.idtr,
            cr0: self.cr0,
            cr2: self.ctx.cr2,
            cr3: self.cr3,
            cr4: self.cr4,
            efer: self.efer,
            xcr0: self.xcr0,
            pdpte: self.pdpte,
            dr: self.dr,
            msrs: self.msrs.clone(),
            lapic: self.lapic.save(now),
            xsave: self.save_xsave(),
            events: Events {
                activity: self.activity,
                exception: self.injected_exception,
                interrupt: self.injected_interrupt,
                shadow: self.shadow,
                nmi_blocked: self.nmi_blocked,
                nmi_pending: self.nmi_pending,
            },
            tsc: self.tsc_at(now),
        }
    }

    /// Replaces the complete state.
    ///
    /// # Errors
    /// [`EngineError::State`] for a state that no processor can be in.
    pub(crate) fn load_state(&mut self, state: &CpuState) -> Result<(), EngineError> {
        check(state)?;
        self.inbox.clear();
        let clock = self.shared.scale.ticks(self.now());
        self.tsc_offset = state.tsc.wrapping_sub(clock);
        // What user code has done is not known; without protection or interrupts there is none.
        let begins = state.cr0 & cr::cr0::PE == 0 || state.idtr.limit == 0;
        self.is_unshared = begins && self.shared.inboxes.len() == 1;
        self.replace_state(state);
        Ok(())
    }

    /// Replaces the state by one that is known to be good; the inbox stays, and the TSC counts on.
    pub(crate) fn replace_state(&mut self, state: &CpuState) {
        let now = self.now();
        self.ctx.gpr[..16].copy_from_slice(&state.gpr);
        self.rip = state.rip;
        self.set_rflags(state.rflags);
        self.seg = state.segments;
        self.ctx.selectors = state.segments.map(|segment| segment.selector);
        self.ldtr = state.ldtr;
        self.tr = state.tr;
        self.gdtr = state.gdtr;
        self.idtr = state.idtr;
        self.cr0 = state.cr0;
        self.ctx.cr2 = state.cr2;
        self.cr3 = state.cr3;
        self.cr4 = state.cr4;
        self.efer = state.efer;
        self.xcr0 = state.xcr0;
        self.pdpte = state.pdpte;
        self.dr = state.dr;
        self.msrs = state.msrs.clone();
        self.load_xsave(&state.xsave);
        self.activity = state.events.activity;
        self.shadow = state.events.shadow;
        self.returns_changed = true;
        self.nmi_blocked = state.events.nmi_blocked;
        self.nmi_pending = state.events.nmi_pending;
        self.injected_exception = state.events.exception;
        // Of a page fault that has not been delivered yet.
        self.fault_address = state.cr2;
        self.injected_interrupt = state.events.interrupt;
        self.lapic.load(&state.lapic, now);
        self.forget_history();
        self.mmu.flush_all(self.pcid());
        self.debug_registers_changed();
        self.refresh_mode();
        self.write_clock();
        self.timer_set(now);
        self.publish();
        self.attend = true;
    }

    /// Clears what is of one moment and not part of the state.
    fn forget_history(&mut self) {
        self.extint_pending = false;
        self.offered_eoi = None;
        self.shutdown_cause = None;
        self.debug_shadow = false;
        self.single_step = false;
        self.debug_traps = 0;
    }
}

/// Refuses what no processor can be in.
fn check(state: &CpuState) -> Result<(), EngineError> {
    let refuse = |what: &str| Err(EngineError::State(what.to_owned()));
    let long = state.efer & cr::efer::LMA != 0;
    if state.cr0 & cr::cr0::PG != 0 && state.cr0 & cr::cr0::PE == 0 {
        return refuse("paging without protection");
    }
    if long && (state.cr0 & cr::cr0::PG == 0 || state.cr4 & cr::cr4::PAE == 0) {
        return refuse("long mode without paging or PAE");
    }
    let known = [
        state.cr0 & !cr::cr0::ALL,
        state.efer & !cr::efer::ALL,
        state.xcr0 & !cr::xcr0::ALL,
    ];
    if known != [0; 3] || state.xcr0 & cr::xcr0::X87 == 0 {
        return refuse("bits in CR0, EFER or XCR0 that do not exist");
    }
    if state.lapic.regs.len() != 64 {
        return refuse("a local APIC without its 64 registers");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
