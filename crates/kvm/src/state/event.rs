//! Events between instructions.

use iface::EngineError;
use kvm_bindings::{
    KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_RUNNABLE,
    KVM_MP_STATE_UNINITIALIZED, KVM_VCPUEVENT_VALID_NMI_PENDING, KVM_VCPUEVENT_VALID_SHADOW,
    KVM_X86_SHADOW_INT_MOV_SS, KVM_X86_SHADOW_INT_STI, kvm_mp_state, kvm_vcpu_events,
};
use x86::cr::cr0;
use x86::state::{Activity, Events};
use x86::{CpuState, Vector, flags};

use crate::error::failed;
use crate::ioctl::done;
use crate::vcpu::KvmVcpu;

/// What the processor is doing.
pub(super) fn activity(vcpu: &KvmVcpu) -> Result<Activity, EngineError> {
    let state = done(vcpu.fd.get_mp_state()).map_err(failed("reading the activity"))?;
    Ok(match state.mp_state {
        _ if vcpu.is_shut_down => Activity::Shutdown,
        KVM_MP_STATE_HALTED => Activity::Halted,
        KVM_MP_STATE_UNINITIALIZED | KVM_MP_STATE_INIT_RECEIVED => Activity::WaitForSipi,
        _ => Activity::Running,
    })
}

pub(super) fn save(vcpu: &KvmVcpu, activity: Activity) -> Result<Events, EngineError> {
    let events = done(vcpu.fd.get_vcpu_events()).map_err(failed("reading pending events"))?;
    let exception = events.exception.injected != 0;
    let interrupt = events.interrupt.injected != 0;
    Ok(Events {
        activity,
        exception: exception.then_some((events.exception.nr, events.exception.error_code)),
        interrupt: interrupt.then_some(events.interrupt.nr).or(vcpu.handed),
        shadow: events.interrupt.shadow != 0,
        nmi_blocked: events.nmi.masked != 0,
        nmi_pending: events.nmi.pending != 0 || events.nmi.injected != 0,
    })
}

pub(super) fn load(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    load_activity(vcpu, state)?;
    load_pending(vcpu, state)
}

/// Replaces what the processor is doing.
pub(super) fn load_activity(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    let mp_state = match state.events.activity {
        Activity::Running | Activity::Shutdown => KVM_MP_STATE_RUNNABLE,
        Activity::Halted => KVM_MP_STATE_HALTED,
        Activity::WaitForSipi => KVM_MP_STATE_INIT_RECEIVED,
    };
    done(vcpu.fd.set_mp_state(kvm_mp_state { mp_state })).map_err(failed("setting the activity"))
}

/// Replaces what waits to be delivered.
pub(super) fn load_pending(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    done(vcpu.fd.set_vcpu_events(&events(state))).map_err(failed("setting pending events"))
}

fn events(state: &CpuState) -> kvm_vcpu_events {
    let mut events = kvm_vcpu_events {
        flags: KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
        ..Default::default()
    };
    if let Some((vector, error)) = state.events.exception {
        let protected = state.cr0 & cr0::PE != 0;
        events.exception.injected = 1;
        events.exception.nr = vector;
        events.exception.has_error_code = (protected && Vector(vector).has_error_code()).into();
        events.exception.error_code = error;
    }
    if let Some(vector) = state.events.interrupt {
        events.interrupt.injected = 1;
        events.interrupt.nr = vector;
    }
    if state.events.shadow {
        // Hardware knows no shadow of STI while interrupts are off (SDM vol. 3, 27.3.1.5).
        let shadow = if state.rflags & flags::IF != 0 {
            KVM_X86_SHADOW_INT_STI
        } else {
            KVM_X86_SHADOW_INT_MOV_SS
        };
        events.interrupt.shadow = shadow as u8;
    }
    events.nmi.masked = state.events.nmi_blocked.into();
    events.nmi.pending = state.events.nmi_pending.into();
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_for_protected_mode() {
        let mut state = CpuState::reset(0);
        state.raise(Vector::GP, 8);
        assert_eq!(events(&state).exception.has_error_code, 0);
        state.cr0 |= cr0::PE;
        assert_eq!(events(&state).exception.has_error_code, 1);
        state.raise(Vector::UD, 0);
        assert_eq!(events(&state).exception.has_error_code, 0);
    }

    #[test]
    fn the_shadow_is_one_that_hardware_knows() {
        let mut state = CpuState::reset(0);
        state.events.shadow = true;
        assert_eq!(
            u32::from(events(&state).interrupt.shadow),
            KVM_X86_SHADOW_INT_MOV_SS
        );
        state.rflags |= flags::IF;
        assert_eq!(
            u32::from(events(&state).interrupt.shadow),
            KVM_X86_SHADOW_INT_STI
        );
    }
}
