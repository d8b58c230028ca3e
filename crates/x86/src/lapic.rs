//! The local APIC's state (SDM vol. 3, chapter 11).

use serde::{Deserialize, Serialize};

/// Bit of IA32_APIC_BASE: this is the bootstrap processor.
pub const BASE_BSP: u64 = 1 << 8;
/// Bit of IA32_APIC_BASE: x2APIC mode.
pub const BASE_X2APIC: u64 = 1 << 10;
/// Bit of IA32_APIC_BASE: globally enabled.
pub const BASE_ENABLE: u64 = 1 << 11;
/// Where the registers lie after reset.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;

/// Registers by their offset in the register page, divided by 16: `regs[0x2]` is the ID at 0x20. ISR, TMR and
/// IRR are eight words each from 0x10, 0x18 and 0x20. In x2APIC mode the ID and LDR hold the full 32 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LapicState {
    /// IA32_APIC_BASE.
    pub base: u64,
    /// The register file: 64 words. The high half of ICR is `regs[0x31]` in either mode.
    pub regs: Vec<u32>,
    /// IA32_TSC_DEADLINE; zero when disarmed.
    pub tsc_deadline: u64,
    /// Nanoseconds of guest time until the counting timer reaches zero; `None` when it is stopped.
    pub timer_remaining: Option<u64>,
}

/// The logical ID of an x2APIC: cluster and member (SDM vol. 3, 11.12.10.2).
pub fn x2apic_logical_id(apic_id: u32) -> u32 {
    apic_id >> 4 << 16 | 1 << (apic_id & 15)
}
