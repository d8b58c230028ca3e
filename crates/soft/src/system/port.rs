//! IN, OUT, INS, OUTS and the I/O permission bitmap (SDM vol. 1, chapter 19).

mod string;

use iced_x86::{Code, Instruction};
use iface::Space;

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::{GP0, R, Trap};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::In_AL_imm8 => input::<u8, true>,
        Code::In_AX_imm8 => input::<u16, true>,
        Code::In_EAX_imm8 => input::<u32, true>,
        Code::In_AL_DX => input::<u8, false>,
        Code::In_AX_DX => input::<u16, false>,
        Code::In_EAX_DX => input::<u32, false>,
        Code::Out_imm8_AL => output::<u8, true>,
        Code::Out_imm8_AX => output::<u16, true>,
        Code::Out_imm8_EAX => output::<u32, true>,
        Code::Out_DX_AL => output::<u8, false>,
        Code::Out_DX_AX => output::<u16, false>,
        Code::Out_DX_EAX => output::<u32, false>,
        _ => return string::select(instruction, source),
    };
    Some(Op::new(instruction, source, handler))
}

fn port<const IMMEDIATE: bool>(cpu: &Cpu, op: &Op) -> u16 {
    if IMMEDIATE {
        op.imm as u8 as u16
    } else {
        cpu.reg(x86::state::gpr::RDX as u8)
    }
}

fn input<T: Operand, const IMMEDIATE: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let port = port::<IMMEDIATE>(cpu, op);
    cpu.check_port(port, T::BYTES)?;
    let value = cpu.read_port::<T>(port);
    cpu.set_reg(0, value);
    Ok(())
}

fn output<T: Operand, const IMMEDIATE: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let port = port::<IMMEDIATE>(cpu, op);
    cpu.check_port(port, T::BYTES)?;
    let value = cpu.reg::<T>(0);
    cpu.write_port(port, value);
    // A device may want something of the machine before the next instruction: power-off, reset.
    Err(Trap::NEXT)
}

impl Cpu {
    /// Whether the running code may access `bytes` ports from `port` on: IOPL, then the TSS's bitmap.
    fn check_port(&mut self, port: u16, bytes: u64) -> R {
        if !self.mode.protected || !self.mode.v86 && self.mode.cpl <= self.iopl() {
            return Ok(());
        }
        let limit = u64::from(self.tr.limit);
        if self.tr.attributes.kind() & 8 == 0 || limit < 0x67 {
            return Err(GP0);
        }
        let map = u64::from(self.load_system::<u16>(self.tr.base.wrapping_add(0x66))?);
        let at = map + u64::from(port >> 3);
        if at + 1 > limit {
            return Err(GP0);
        }
        let bits: u16 = self.load_system(self.tr.base.wrapping_add(at))?;
        let mask = ((1 << bytes) - 1) << (port & 7);
        if bits & mask != 0 {
            return Err(GP0);
        }
        Ok(())
    }

    fn read_port<T: Operand>(&mut self, port: u16) -> T {
        let mut data = [0; 8];
        self.io
            .read(Space::Port, u64::from(port), &mut data[..T::BYTES as usize]);
        self.make_way();
        self.port_watchpoint(port, T::BYTES);
        T::from_u64(u64::from_le_bytes(data))
    }

    fn write_port<T: Operand>(&mut self, port: u16, value: T) {
        let data = value.to_u64().to_le_bytes();
        self.io
            .write(Space::Port, u64::from(port), &data[..T::BYTES as usize]);
        self.make_way();
        self.port_watchpoint(port, T::BYTES);
    }
}
