//! The bytes of an area.

use x86::cr::xcr0;

use crate::cpu::Cpu;
use crate::exec::mxcsr;
use crate::exec::x87::X87;

/// Bytes of FXSAVE's area.
pub(super) const LEGACY: usize = 512;
/// Where the header is, its first field, and its length.
pub(super) const XSTATE_BV: usize = 512;
pub(super) const HEADER: usize = 64;
/// Where the upper halves of the vector registers are.
pub(super) const UPPER: usize = 576;
/// Bytes with everything.
pub(super) const ALL: usize = x86::state::XSAVE_SIZE;
/// MXCSR after reset.
pub(super) const MXCSR_INITIAL: u32 = 0x1f80;

const MXCSR: usize = 24;
const X87_REGISTERS: usize = 32;
const XMM: usize = 160;

/// An area, of which only what was filled in is meant.
pub(super) struct Area {
    pub(super) bytes: [u8; ALL],
    /// Vector registers that exist in the present mode.
    count: usize,
    /// Instruction and data pointers have 64 bits; else 32, and zeros for selectors.
    wide: bool,
}

impl Area {
    /// The initial configuration, in the form that an instruction uses.
    pub(super) fn empty(cpu: &Cpu, wide: bool) -> Self {
        Self {
            wide,
            ..Self::initial(if cpu.mode.is_64bit() { 16 } else { 8 })
        }
    }

    /// The initial configuration of everything, for `count` vector registers.
    pub(super) fn initial(count: usize) -> Self {
        let mut bytes = [0; ALL];
        bytes[..XMM].copy_from_slice(&X87::initial());
        Self {
            bytes,
            count,
            wide: true,
        }
    }

    /// The first `count` vector registers.
    pub(super) fn vectors(cpu: &Cpu, count: usize, wide: bool) -> Self {
        let mut area = Self {
            wide,
            ..Self::initial(count)
        };
        for (index, register) in cpu.ctx.ymm[..count].iter().enumerate() {
            for (part, word) in register.iter().enumerate() {
                let at = place(index, part);
                area.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        area
    }

    /// The present state.
    pub(super) fn of(cpu: &mut Cpu, wide: bool) -> Self {
        let count = if cpu.mode.is_64bit() { 16 } else { 8 };
        let mut area = Self::vectors(cpu, count, wide);
        area.bytes[..XMM].copy_from_slice(&cpu.x87.save());
        area.set_mxcsr(cpu.ctx.mxcsr);
        if !wide {
            area.bytes[12..16].fill(0);
            area.bytes[20..24].fill(0);
        }
        area
    }

    pub(super) fn set_mxcsr(&mut self, value: u32) {
        self.bytes[MXCSR..MXCSR + 4].copy_from_slice(&value.to_le_bytes());
        self.bytes[MXCSR + 4..MXCSR + 8].copy_from_slice(&mxcsr::MASK.to_le_bytes());
    }

    /// MXCSR's field.
    pub(super) fn mxcsr_value(&self) -> u32 {
        let bytes = &self.bytes[MXCSR..MXCSR + 4];
        u32::from_le_bytes(bytes.try_into().expect("four bytes"))
    }

    /// Control, status, tags and pointers.
    pub(super) fn x87(&self) -> &[u8] {
        &self.bytes[..MXCSR]
    }

    /// MXCSR and its mask.
    pub(super) fn mxcsr(&self) -> &[u8] {
        &self.bytes[MXCSR..X87_REGISTERS]
    }

    /// ST0 to ST7.
    pub(super) fn registers(&self) -> &[u8] {
        &self.bytes[X87_REGISTERS..XMM]
    }

    /// The XMM registers that exist.
    pub(super) fn xmm(&self) -> &[u8] {
        &self.bytes[XMM..][..self.count * 16]
    }

    /// Their upper halves.
    pub(super) fn upper(&self) -> &[u8] {
        &self.bytes[UPPER..][..self.count * 16]
    }

    /// The components that are not in their initial configuration (SDM vol. 1, 13.6).
    pub(super) fn in_use(&self) -> u64 {
        let initial = X87::initial();
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        let x87 = self.x87() != &initial[..MXCSR] || self.registers() != &initial[X87_REGISTERS..];
        let parts = [
            (x87, xcr0::X87),
            (!is_zero(self.xmm()), xcr0::SSE),
            (!is_zero(self.upper()), xcr0::AVX),
        ];
        let used = parts.iter().filter(|(in_use, _)| *in_use);
        used.fold(0, |components, (_, bit)| components | bit)
    }

    /// Loads components, without MXCSR.
    pub(super) fn load(&self, cpu: &mut Cpu, components: u64) {
        if components & xcr0::X87 != 0 {
            let mut area: [u8; XMM] = *self.bytes.first_chunk().expect("longer than that");
            if !self.wide {
                area[12..16].fill(0);
                area[20..24].fill(0);
            }
            cpu.x87.load(&area);
        }
        for (bit, parts) in [(xcr0::SSE, 0..2), (xcr0::AVX, 2..4)] {
            if components & bit == 0 {
                continue;
            }
            for (index, register) in cpu.ctx.ymm[..self.count].iter_mut().enumerate() {
                for part in parts.clone() {
                    let at = place(index, part);
                    let bytes = &self.bytes[at..at + 8];
                    register[part] = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
                }
            }
        }
    }
}

/// Where 64-bit part `part` of vector register `index` is.
fn place(index: usize, part: usize) -> usize {
    let base = if part < 2 { XMM } else { UPPER };
    base + index * 16 + part % 2 * 8
}
