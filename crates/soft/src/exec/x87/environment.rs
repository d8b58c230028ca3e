//! FNSTENV, FLDENV, FNSAVE and FRSTOR in their four formats (SDM vol. 1, figures 8-9 to 8-12).
//!
//! The host stores and loads everything but the pointers in 32-bit protected format; the formats are made here.

use dbt::x87;
use iced_x86::{Code, Instruction};

use super::X87;
use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::exec::gate;
use crate::mmu::{Access, Span};
use crate::trap::R;

/// Bytes of the environment in the host's format.
const HOST: usize = 28;
/// Bytes of the eight registers.
const REGISTERS: usize = 80;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let (handler, wide): (crate::block::Handler, bool) = match instruction.code() {
        Code::Fnstenv_m14byte => (store, false),
        Code::Fnstenv_m28byte => (store, true),
        Code::Fldenv_m14byte => (load, false),
        Code::Fldenv_m28byte => (load, true),
        Code::Fnsave_m94byte => (save, false),
        Code::Fnsave_m108byte => (save, true),
        Code::Frstor_m94byte => (restore, false),
        Code::Frstor_m108byte => (restore, true),
        _ => return None,
    };
    let mut op = Op::new(instruction, source, handler);
    op.aux = u32::from(wide);
    Some(op)
}

/// Layout of the environment in memory.
#[derive(Debug, Clone, Copy)]
struct Format {
    /// 28 bytes, else 14.
    wide: bool,
    /// Of real and virtual-8086 mode: linear addresses instead of selectors and offsets.
    real: bool,
}

impl Format {
    fn of(cpu: &Cpu, op: &Op) -> Self {
        Self {
            wide: op.aux != 0,
            real: !cpu.mode.protected || cpu.mode.v86,
        }
    }

    fn bytes(self) -> usize {
        if self.wide { 28 } else { 14 }
    }

    /// The seven fields, from an environment in the host's format and the guest's pointers.
    fn pack(self, host: &[u8; HOST], x87: &X87) -> [u8; HOST] {
        let linear =
            |selector: u16, offset: u64| (u32::from(selector) << 4).wrapping_add(offset as u32);
        let (fip, fdp) = (linear(x87.fcs, x87.fip), linear(x87.fds, x87.fdp));
        let fop = u32::from(x87.fop);
        let pointers = match (self.real, self.wide) {
            // FCS and FDS are saved as zero.
            (false, true) => [x87.fip as u32, fop << 16, x87.fdp as u32, 0xffff_0000],
            (false, false) => [x87.fip as u32, 0, x87.fdp as u32, 0],
            (true, true) => [
                fip | 0xffff_0000,
                fip >> 16 << 12 | fop,
                fdp | 0xffff_0000,
                fdp >> 16 << 12,
            ],
            (true, false) => [fip, fip >> 16 << 12 | fop, fdp, fdp >> 16 << 12],
        };
        let mut packed = [0; HOST];
        let fields = (0..3).map(|index| field(host, index, 4));
        for (index, value) in fields.chain(pointers).enumerate() {
            let width = self.bytes() / 7;
            packed[index * width..(index + 1) * width]
                .copy_from_slice(&value.to_le_bytes()[..width]);
        }
        packed
    }

    /// Takes the pointers out of an environment in memory, and returns the rest in the host's format.
    fn unpack(self, memory: &[u8], x87: &mut X87) -> [u8; HOST] {
        let width = self.bytes() / 7;
        let [ip, cs, dp, ds] = [3, 4, 5, 6].map(|index| field(memory, index, width));
        let high = |word: u32| u64::from(word >> 12 << 16 & 0xffff_0000);
        (x87.fcs, x87.fds) = (0, 0);
        (x87.fip, x87.fdp, x87.fop) = match (self.real, self.wide) {
            (false, true) => (ip.into(), dp.into(), (cs >> 16) as u16 & 0x7ff),
            (false, false) => (ip.into(), dp.into(), 0),
            (true, _) => (
                u64::from(ip & 0xffff) | high(cs),
                u64::from(dp & 0xffff) | high(ds),
                cs as u16 & 0x7ff,
            ),
        };
        let mut host = [0; HOST];
        for index in 0..3 {
            let value = field(memory, index, width) | 0xffff_0000;
            host[index * 4..][..4].copy_from_slice(&value.to_le_bytes());
        }
        host
    }
}

/// The field with a number, of 2 or 4 bytes.
fn field(bytes: &[u8], index: usize, width: usize) -> u32 {
    let mut value = [0; 4];
    value[..width].copy_from_slice(&bytes[index * width..][..width]);
    u32::from_le_bytes(value)
}

fn span(cpu: &mut Cpu, op: &Op, bytes: usize, access: Access) -> R<Span> {
    let bytes = bytes as u64;
    let linear = match access {
        Access::Write => cpu.linear_write(op, bytes)?,
        _ => cpu.linear_read(op, bytes)?,
    };
    cpu.span(linear, bytes, access)
}

fn store(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<{ gate::X87 }>(cpu)?;
    let format = Format::of(cpu, op);
    let span = span(cpu, op, format.bytes(), Access::Write)?;
    cpu.acquire_x87();
    let mut host = [0; HOST];
    x87::store_environment(&mut host);
    cpu.control_changed();
    let packed = format.pack(&host, &cpu.x87);
    cpu.write_span(&span, 0, &packed[..format.bytes()]);
    Ok(())
}

fn load(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<{ gate::X87 }>(cpu)?;
    cpu.acquire_x87();
    cpu.wait_x87()?;
    let format = Format::of(cpu, op);
    let span = span(cpu, op, format.bytes(), Access::Read)?;
    let mut memory = [0; HOST];
    let memory = &mut memory[..format.bytes()];
    cpu.read_span(&span, 0, memory);
    x87::load_environment(&format.unpack(memory, &mut cpu.x87));
    cpu.control_changed();
    Ok(())
}

fn save(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<{ gate::X87 }>(cpu)?;
    let format = Format::of(cpu, op);
    let span = span(cpu, op, format.bytes() + REGISTERS, Access::Write)?;
    cpu.acquire_x87();
    let mut host = [0; HOST + REGISTERS];
    x87::save(&mut host);
    cpu.control_changed();
    let (environment, registers) = host.split_first_chunk().expect("longer than that");
    let mut packed = format.pack(environment, &cpu.x87)[..format.bytes()].to_vec();
    packed.extend_from_slice(registers);
    cpu.write_span(&span, 0, &packed);
    cpu.forget_pointers();
    Ok(())
}

fn restore(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<{ gate::X87 }>(cpu)?;
    cpu.acquire_x87();
    cpu.wait_x87()?;
    let format = Format::of(cpu, op);
    let span = span(cpu, op, format.bytes() + REGISTERS, Access::Read)?;
    let mut memory = [0; HOST + REGISTERS];
    let memory = &mut memory[..format.bytes() + REGISTERS];
    cpu.read_span(&span, 0, memory);
    let (environment, registers) = memory.split_at(format.bytes());
    let mut host = [0; HOST + REGISTERS];
    host[..HOST].copy_from_slice(&format.unpack(environment, &mut cpu.x87));
    host[HOST..].copy_from_slice(registers);
    x87::restore(&host);
    cpu.control_changed();
    Ok(())
}
