//! The local APIC.

use std::ffi::c_char;

use iface::EngineError;
use kvm_bindings::kvm_lapic_state;
use x86::lapic::{BASE_ENABLE, BASE_X2APIC, LapicState};
use x86::msr::number;

use crate::error::failed;
use crate::ioctl::{self, done};
use crate::msr;
use crate::vcpu::KvmVcpu;

/// Numbers of registers: offset divided by 16.
const ID: usize = 0x2;
const VERSION: usize = 0x3;
const PPR: usize = 0xa;
const ISR: usize = 0x10;
const TMR: usize = 0x18;
const IRR: usize = 0x20;
const TIMER: usize = 0x32;
const LINT1: usize = 0x36;
const CURRENT_COUNT: usize = 0x39;
const DIVIDE: usize = 0x3e;

/// Nanoseconds of one count; the clock runs at 1 GHz on either side ([`x86::cpuid::APIC_HZ`]).
fn divider(lapic: &LapicState) -> u64 {
    let code = lapic.regs[DIVIDE] & 3 | lapic.regs[DIVIDE] >> 1 & 4;
    1 << ((code + 1) & 7)
}

fn is_deadline(lapic: &LapicState) -> bool {
    lapic.regs[TIMER] >> 17 & 3 == 2
}

fn is_x2apic(base: u64) -> bool {
    base & (BASE_ENABLE | BASE_X2APIC) == BASE_ENABLE | BASE_X2APIC
}

/// Whether a signal at LINT1 is an NMI (SDM vol. 3, 11.5.1).
pub(crate) fn is_lint1_nmi(lapic: &LapicState) -> bool {
    const MASKED: u32 = 1 << 16;
    const NMI: u32 = 4;
    let entry = lapic.regs[LINT1];
    lapic.base & BASE_ENABLE == 0 || entry & MASKED == 0 && entry >> 8 & 7 == NMI
}

/// The state as [`LapicState`] has it.
pub(crate) fn read(vcpu: &KvmVcpu) -> Result<LapicState, EngineError> {
    let page = done(vcpu.fd.get_lapic()).map_err(failed("reading the local APIC"))?;
    let special = ioctl::special_registers(&vcpu.fd).map_err(failed("reading segments"))?;
    let deadline = msr::read(&vcpu.fd, number::TSC_DEADLINE).unwrap_or(0);
    let mut lapic = LapicState {
        base: special.apic_base,
        regs: registers(&page),
        tsc_deadline: deadline,
        timer_remaining: None,
    };
    let count = std::mem::take(&mut lapic.regs[CURRENT_COUNT]);
    if is_deadline(&lapic) {
        let now = msr::read(&vcpu.fd, number::TSC).unwrap_or(0);
        lapic.timer_remaining =
            (deadline != 0).then(|| vcpu.shared.time.nanoseconds(deadline.saturating_sub(now)));
    } else if count != 0 {
        lapic.timer_remaining = Some(u64::from(count) * divider(&lapic));
    }
    // What is worked out when it is read, and what KVM may have of its own.
    lapic.regs[PPR] = 0;
    lapic.regs[VERSION] = LapicState::reset(vcpu.id).regs[VERSION];
    Ok(lapic)
}

/// Replaces the state; segments and the TSC have been loaded before.
pub(super) fn load(vcpu: &KvmVcpu, lapic: &mut LapicState) -> Result<(), EngineError> {
    lapic.regs[ID] = if is_x2apic(lapic.base) {
        vcpu.id
    } else {
        vcpu.id << 24
    };
    let mut regs = lapic.regs.clone();
    if !is_deadline(lapic)
        && let Some(remaining) = lapic.timer_remaining
    {
        let count = (remaining / divider(lapic)).max(1);
        regs[CURRENT_COUNT] = u32::try_from(count).unwrap_or(u32::MAX);
    }
    vcpu.shared.expect_ends(vcpu.id, &level_triggered(lapic))?;
    done(vcpu.fd.set_lapic(&page(&regs))).map_err(failed("writing the local APIC"))?;
    if is_deadline(lapic) {
        msr::write(&vcpu.fd, number::TSC_DEADLINE, lapic.tsc_deadline)
            .map_err(failed("setting the TSC deadline"))?;
    }
    Ok(())
}

/// Replaces the state where it was changed by somebody who knows nothing of time. Interrupts that came meanwhile
/// stay, and so does the timer unless it was programmed.
pub(super) fn load_changes(
    vcpu: &KvmVcpu,
    before: &LapicState,
    after: &LapicState,
) -> Result<(), EngineError> {
    if before.regs == after.regs && before.base == after.base {
        return Ok(());
    }
    let now = read(vcpu)?;
    let mut merged = after.clone();
    for register in TMR..IRR + 8 {
        let came = now.regs[register] & !before.regs[register];
        merged.regs[register] |= came;
    }
    merged.timer_remaining = now.timer_remaining;
    merged.tsc_deadline = now.tsc_deadline;
    load(vcpu, &mut merged)
}

/// Level-triggered interrupts that wait or are in service.
fn level_triggered(lapic: &LapicState) -> Vec<u8> {
    let is_set = |first: usize, vector: u8| {
        lapic.regs[first + usize::from(vector / 32)] >> (vector % 32) & 1 != 0
    };
    (0..=255)
        .filter(|&vector| is_set(TMR, vector) && (is_set(ISR, vector) || is_set(IRR, vector)))
        .collect()
}

fn registers(page: &kvm_lapic_state) -> Vec<u32> {
    page.regs
        .chunks_exact(16)
        .map(|register| u32::from_le_bytes(std::array::from_fn(|byte| register[byte] as u8)))
        .collect()
}

fn page(registers: &[u32]) -> kvm_lapic_state {
    let mut page = kvm_lapic_state::default();
    for (to, register) in page.regs.chunks_exact_mut(16).zip(registers) {
        for (to, byte) in to.iter_mut().zip(register.to_le_bytes()) {
            *to = byte as c_char;
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_go_there_and_back() {
        let all: Vec<_> = (0..64).map(|index| index * 0x0101_0101 + 0x80).collect();
        assert_eq!(registers(&page(&all)), all);
    }

    #[test]
    fn dividers_are_those_of_the_manual() {
        let mut lapic = LapicState::reset(0);
        for (code, expected) in [
            (0, 2),
            (1, 4),
            (2, 8),
            (3, 16),
            (8, 32),
            (9, 64),
            (10, 128),
            (11, 1),
        ] {
            lapic.regs[DIVIDE] = code;
            assert_eq!(divider(&lapic), expected);
        }
    }

    #[test]
    fn level_triggered_interrupts_are_found() {
        let mut lapic = LapicState::reset(0);
        lapic.regs[TMR + 1] = 0b111;
        lapic.regs[ISR + 1] = 0b001;
        lapic.regs[IRR + 1] = 0b1010;
        assert_eq!(level_triggered(&lapic), [32, 33]);
    }
}
