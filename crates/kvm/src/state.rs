//! Between KVM's idea of a processor's state and [`CpuState`].

mod event;
pub(crate) mod lapic;
mod register;
mod xsave;

use iface::EngineError;
use x86::CpuState;
use x86::msr::number;
use x86::state::Activity;

use crate::error::failed;
use crate::ioctl;
use crate::msr;
use crate::vcpu::KvmVcpu;

/// The complete state of a vCPU that is not in the guest and has no access pending.
pub(crate) fn save(vcpu: &KvmVcpu) -> Result<CpuState, EngineError> {
    let mut state = vcpu.loaded.clone();
    // First, since it makes KVM act on INIT and SIPI that wait.
    let activity = event::activity(vcpu)?;
    register::save(vcpu, &mut state)?;
    state.xsave = xsave::save(&vcpu.fd)?;
    vcpu.msrs
        .save(&vcpu.fd, &mut state.msrs)
        .map_err(failed("reading MSRs"))?;
    if state.msrs.kvm_wall_clock == 0 {
        // Not written here, but perhaps where the guest comes from.
        state.msrs.kvm_wall_clock = vcpu.loaded.msrs.kvm_wall_clock;
    }
    state.lapic = lapic::read(vcpu)?;
    state.events = event::save(vcpu, activity)?;
    if vcpu.is_lint1_waiting() && lapic::is_lint1_nmi(&state.lapic) {
        state.events.nmi_pending = true;
    }
    state.tsc = tsc(vcpu)?;
    Ok(state)
}

/// The TSC; it stands still while the machine's clock does.
fn tsc(vcpu: &KvmVcpu) -> Result<u64, EngineError> {
    if vcpu.is_tsc_fixed {
        return msr::read(&vcpu.fd, number::TSC).map_err(failed("reading the TSC"));
    }
    let offset = ioctl::tsc_offset(&vcpu.fd).map_err(failed("reading the TSC's offset"))?;
    let own = offset.wrapping_sub(vcpu.shift);
    Ok(vcpu.shared.time.machine_ticks().wrapping_add(own))
}

/// Replaces the complete state.
pub(crate) fn load(vcpu: &mut KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    let mut state = state.clone();
    if state.lapic.regs.len() != 64 {
        return Err(EngineError::State(
            "a local APIC without its 64 registers".to_owned(),
        ));
    }
    vcpu.handed = None;
    vcpu.is_shut_down = state.events.activity == Activity::Shutdown;
    register::load(vcpu, &state)?;
    xsave::load(vcpu, &state)?;
    vcpu.msrs
        .load(&vcpu.fd, &state.msrs)
        .map_err(failed("writing MSRs"))?;
    load_time(vcpu, &state)?;
    if vcpu.is_tsc_fixed && state.lapic.tsc_deadline != 0 {
        // The guest's TSC jumps here; the deadline goes with it.
        let jump = tsc(vcpu)?.wrapping_sub(state.tsc);
        state.lapic.tsc_deadline = state.lapic.tsc_deadline.wrapping_add(jump);
    }
    lapic::load(vcpu, &mut state.lapic)?;
    event::load(vcpu, &state)?;
    vcpu.loaded = state;
    Ok(())
}

/// Replaces what differs between two states, the first of which the vCPU is in; time goes on.
pub(crate) fn load_changes(
    vcpu: &KvmVcpu,
    before: &CpuState,
    after: &CpuState,
) -> Result<(), EngineError> {
    register::load_changes(vcpu, before, after)?;
    if before.xsave != after.xsave {
        xsave::load_known(vcpu, after)?;
    }
    if before.msrs != after.msrs {
        vcpu.msrs
            .load(&vcpu.fd, &after.msrs)
            .map_err(failed("writing MSRs"))?;
    }
    lapic::load_changes(vcpu, &before.lapic, &after.lapic)?;
    if before.events.activity != after.events.activity {
        event::load_activity(vcpu, after)?;
    }
    event::load_pending(vcpu, after)
}

/// TSC, KVM's clock, and the MSRs by which guests read it.
fn load_time(vcpu: &mut KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    let shared = &vcpu.shared;
    let shift = shared
        .time
        .shift(&shared.vm)
        .map_err(failed("setting KVM's clock"))?;
    let own = state.tsc.wrapping_sub(shared.time.machine_ticks());
    let offset = own.wrapping_add(shift);
    ioctl::set_tsc_offset(&vcpu.fd, offset).map_err(failed("setting the TSC's offset"))?;
    let kept = ioctl::tsc_offset(&vcpu.fd).map_err(failed("reading the TSC's offset"))?;
    vcpu.is_tsc_fixed = kept != offset;
    let unadjusted = state.tsc.wrapping_sub(state.msrs.tsc_adjust);
    shared
        .time
        .set_guest_clock(&shared.vm, shared.time.nanoseconds(unadjusted))
        .map_err(failed("setting KVM's clock"))?;
    vcpu.shift = shift;
    vcpu.msrs
        .load_clocks(&vcpu.fd, &state.msrs)
        .map_err(failed("writing the clocks' MSRs"))
}

impl KvmVcpu {
    /// Brings the TSC into step with the machine's clock, if that has stood still.
    pub(crate) fn keep_time(&mut self) -> Result<(), EngineError> {
        let shared = &self.shared;
        let shift = shared
            .time
            .shift(&shared.vm)
            .map_err(failed("setting KVM's clock"))?;
        if shift == self.shift || self.is_tsc_fixed {
            self.shift = shift;
            return Ok(());
        }
        let offset = ioctl::tsc_offset(&self.fd).map_err(failed("reading the TSC's offset"))?;
        let moved = offset.wrapping_add(shift.wrapping_sub(self.shift));
        ioctl::set_tsc_offset(&self.fd, moved).map_err(failed("setting the TSC's offset"))?;
        self.shift = shift;
        // A timer that is set by the TSC is set anew.
        match msr::read(&self.fd, number::TSC_DEADLINE) {
            Ok(deadline) if deadline != 0 => msr::write(&self.fd, number::TSC_DEADLINE, deadline)
                .map_err(failed("setting the TSC deadline")),
            _ => Ok(()),
        }
    }
}
