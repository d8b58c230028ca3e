//! The registers that a TSS holds (SDM vol. 3, 8.2.1 and 8.6).

use crate::cpu::Cpu;
use crate::trap::R;

/// What a switch saves, and what it loads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TaskState {
    /// Not in a 16-bit TSS; never saved.
    pub(super) cr3: Option<u32>,
    pub(super) rip: u64,
    pub(super) flags: u64,
    pub(super) gpr: [u64; 8],
    /// ES, CS, SS, DS, FS, GS.
    pub(super) selectors: [u16; 6],
    /// Never saved.
    pub(super) ldt: u16,
    /// Bit T; never saved.
    pub(super) trap: bool,
}

impl TaskState {
    pub(super) fn read32(cpu: &mut Cpu, base: u64) -> R<Self> {
        let mut bytes = [0; 0x68];
        read(cpu, base, &mut bytes)?;
        let long = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Ok(Self {
            cr3: Some(long(0x1c)),
            rip: u64::from(long(0x20)),
            flags: u64::from(long(0x24)),
            gpr: std::array::from_fn(|index| u64::from(long(0x28 + 4 * index))),
            selectors: std::array::from_fn(|index| long(0x48 + 4 * index) as u16),
            ldt: long(0x60) as u16,
            trap: bytes[0x64] & 1 != 0,
        })
    }

    pub(super) fn read16(cpu: &mut Cpu, base: u64) -> R<Self> {
        let mut bytes = [0; 0x2c];
        read(cpu, base, &mut bytes)?;
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut selectors = [0; 6];
        for (index, selector) in selectors.iter_mut().take(4).enumerate() {
            *selector = word(0x22 + 2 * index);
        }
        Ok(Self {
            cr3: None,
            rip: u64::from(word(0x0e)),
            flags: u64::from(word(0x10)),
            gpr: std::array::from_fn(|index| u64::from(word(0x12 + 2 * index))),
            selectors,
            ldt: word(0x2a),
            trap: false,
        })
    }

    pub(super) fn write32(&self, cpu: &mut Cpu, base: u64) -> R {
        let mut bytes = [0; 0x40];
        let mut put = |at: usize, value: u64| {
            bytes[at - 0x20..at - 0x1c].copy_from_slice(&(value as u32).to_le_bytes());
        };
        put(0x20, self.rip);
        put(0x24, self.flags);
        for (index, &value) in self.gpr.iter().enumerate() {
            put(0x28 + 4 * index, value);
        }
        for (index, &value) in self.selectors.iter().enumerate() {
            put(0x48 + 4 * index, u64::from(value));
        }
        let at = cpu.wrap(base.wrapping_add(0x20));
        cpu.write_as(at, &bytes, cpu.system_privilege())
    }

    pub(super) fn write16(&self, cpu: &mut Cpu, base: u64) -> R {
        let mut bytes = [0; 0x1c];
        let mut put = |at: usize, value: u64| {
            bytes[at - 0x0e..at - 0x0c].copy_from_slice(&(value as u16).to_le_bytes());
        };
        put(0x0e, self.rip);
        put(0x10, self.flags);
        for (index, &value) in self.gpr.iter().enumerate() {
            put(0x12 + 2 * index, value);
        }
        for (index, &value) in self.selectors.iter().take(4).enumerate() {
            put(0x22 + 2 * index, u64::from(value));
        }
        let at = cpu.wrap(base.wrapping_add(0x0e));
        cpu.write_as(at, &bytes, cpu.system_privilege())
    }
}

/// Reads a TSS that may cross a page.
fn read(cpu: &mut Cpu, base: u64, to: &mut [u8]) -> R {
    let privilege = cpu.system_privilege();
    let base = cpu.wrap(base);
    cpu.read_as(base, to, privilege)
}
