//! The processor state that firmware would leave, beside what the boot protocol prescribes.

use x86::CpuState;
use x86::msr::MTRR_VARIABLE;
use x86::paging::PHYSICAL_BITS;

use crate::boot::Entry;
use crate::layout::{GIB, PCI_WINDOW};

/// Words of the local APIC's register file.
const SPURIOUS: usize = 0x0f;
const LVT_LINT0: usize = 0x35;
const LVT_LINT1: usize = 0x36;

/// Spurious-interrupt register: enabled, vector 255.
const APIC_ENABLED: u32 = 0x1ff;
/// Delivery by the PIC: "virtual wire" (MP specification, 3.6.2.2).
const EXT_INT: u32 = 0x700;
const NMI: u32 = 0x400;

/// IA32_MTRR_DEF_TYPE: enabled, write-back where no range says otherwise.
const MTRR_DEFAULT: u64 = 1 << 11 | 6;
/// In a range's mask: it counts.
const MTRR_VALID: u64 = 1 << 11;

/// The state of processor `id` before its first instruction; the boot processor enters the kernel.
pub(crate) fn state(id: u32, entry: &Entry) -> CpuState {
    let mut state = CpuState::reset(id);
    state.msrs.mtrr_def_type = MTRR_DEFAULT;
    state.msrs.mtrr_variable = mtrrs();
    if id == 0 {
        state.lapic.regs[SPURIOUS] = APIC_ENABLED;
        state.lapic.regs[LVT_LINT0] = EXT_INT;
        state.lapic.regs[LVT_LINT1] = NMI;
        entry.apply(&mut state);
    }
    state
}

/// One range: the last gibibyte below 4 GiB, where devices are, is uncacheable (type 0).
fn mtrrs() -> [[u64; 2]; MTRR_VARIABLE] {
    let mut ranges = [[0; 2]; MTRR_VARIABLE];
    let mask = (1_u64 << PHYSICAL_BITS) - GIB;
    ranges[0] = [PCI_WINDOW.0, mask | MTRR_VALID];
    ranges
}
