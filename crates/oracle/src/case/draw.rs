//! Draws cases.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::{Bits, Case, MOST_CODE, Registers};
use crate::form::{Form, Opcode};
use crate::layout::{CODE, CODE_LEN, DATA, DATA_LEN, PAGE};
use crate::random::Random;
use crate::vendor;

impl Case {
    /// A random case of a form; `None` when the dice gave something that can't be compared.
    pub fn draw(form: &Form, random: &mut Random) -> Option<Self> {
        let (code, instruction) = encode(form, random)?;
        if vendor::is_another(form.bits, &code, &instruction) {
            return None;
        }
        let mut case = Self {
            bits: form.bits,
            code: [0; MOST_CODE],
            len: code.len() as u16,
            registers: registers(random),
            data_seed: random.bits(),
        };
        case.code[..code.len()].copy_from_slice(&code);
        case.registers.rip = place(code.len(), random);
        case.aim(&instruction, random)?;
        if form.bits == Bits::B32 {
            for register in &mut case.registers.gpr {
                *register &= 0xffff_ffff;
            }
            case.registers.gpr[8..].fill(0);
        }
        case.branches_outside_itself().then_some(case)
    }

    /// The decoded instruction; the first one of a program.
    pub fn instruction(&self) -> Instruction {
        let mut decoder = Decoder::with_ip(
            self.bits.number(),
            self.bytes(),
            self.registers.rip,
            DecoderOptions::NONE,
        );
        decoder.decode()
    }

    /// Points memory operands, stated or implied, at the data pages, mostly.
    fn aim(&mut self, instruction: &Instruction, random: &mut Random) -> Option<()> {
        let gpr = &mut self.registers.gpr;
        gpr[4] = target(random) & !7;
        if random.one_in(2) {
            gpr[5] = target(random);
        }
        let implied = (0..instruction.op_count()).any(|operand| {
            !matches!(
                instruction.op_kind(operand),
                OpKind::Register | OpKind::Memory
            ) && instruction.op_kind(operand) >= OpKind::MemorySegSI
                && instruction.op_kind(operand) <= OpKind::MemoryESRDI
        });
        if implied {
            gpr[6] = target(random);
            gpr[7] = target(random);
            if instruction.has_rep_prefix() || instruction.has_repne_prefix() {
                gpr[1] = random.below(40) as u64;
            }
        }
        if instruction.mnemonic() == Mnemonic::Xlatb {
            gpr[3] = target(random);
        }
        if !(0..instruction.op_count())
            .any(|operand| instruction.op_kind(operand) == OpKind::Memory)
        {
            return Some(());
        }
        if is_bit_string(instruction) && !random.one_in(8) {
            let register = instruction.op1_register();
            gpr[register.number()] = (random.below(4096) as u64).wrapping_sub(2048);
        }
        if instruction.is_vsib() {
            self.aim_gather(instruction, random);
            return Some(());
        }
        self.aim_operand(instruction, target(random))
    }

    fn aim_operand(&mut self, instruction: &Instruction, target: u64) -> Option<()> {
        let gpr = &mut self.registers.gpr;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let displacement = instruction.memory_displacement64();
        let scale = u64::from(instruction.memory_index_scale());
        let is_pointer = |register: Register| register != Register::None && !register.is_ip();
        if base.is_ip() || !is_pointer(base) && !is_pointer(index) {
            return self.patch_displacement(instruction, target);
        }
        if is_pointer(base) && base.full_register() == index.full_register() {
            // base * (scale + 1)
            gpr[base.number()] = target.wrapping_sub(displacement) / (scale + 1);
        } else if is_pointer(base) {
            let offset = if is_pointer(index) {
                gpr[index.number()].wrapping_mul(scale)
            } else {
                0
            };
            gpr[base.number()] = target.wrapping_sub(offset).wrapping_sub(displacement);
        } else {
            gpr[index.number()] = target.wrapping_sub(displacement) / scale;
        }
        if self.bits == Bits::B32 {
            for register in gpr.iter_mut() {
                *register &= 0xffff_ffff;
            }
        }
        Some(())
    }

    /// An address without registers: writes the displacement into the code.
    fn patch_displacement(&mut self, instruction: &Instruction, target: u64) -> Option<()> {
        let mut decoder = Decoder::with_ip(
            self.bits.number(),
            &self.code[..usize::from(self.len)],
            self.registers.rip,
            DecoderOptions::NONE,
        );
        let again = decoder.decode();
        let offsets = decoder.get_constant_offsets(&again);
        let start = offsets.displacement_offset();
        let value = if instruction.memory_base().is_ip() {
            target.wrapping_sub(again.next_ip())
        } else {
            target
        };
        let size = offsets.displacement_size();
        self.code
            .get_mut(start..start + size)?
            .copy_from_slice(&value.to_le_bytes()[..size]);
        (size > 0).then_some(())
    }

    fn aim_gather(&mut self, instruction: &Instruction, random: &mut Random) {
        let base = instruction.memory_base();
        if base != Register::None {
            self.registers.gpr[base.number()] = target(random);
        }
        let wide = matches!(
            instruction.mnemonic(),
            Mnemonic::Vgatherqpd
                | Mnemonic::Vgatherqps
                | Mnemonic::Vpgatherqd
                | Mnemonic::Vpgatherqq
        );
        let register = instruction.memory_index().number();
        for lane in 0..8 {
            let value = (random.below(256) as i32 - 128) as u32;
            let at = if lane < 4 {
                160 + register * 16 + lane * 4
            } else {
                576 + register * 16 + (lane - 4) * 4
            };
            let value = if wide && lane % 2 == 1 { 0 } else { value };
            self.registers.xsave[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// A branch into the instruction itself would execute bytes that nobody meant.
    fn branches_outside_itself(&self) -> bool {
        let instruction = self.instruction();
        let target = instruction.near_branch_target();
        target.wrapping_sub(instruction.ip()) >= instruction.len() as u64
    }
}

fn is_bit_string(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && instruction.op1_kind() == OpKind::Register
}

/// Where the instruction lies: mostly within a page, now and then across the end of one.
fn place(len: usize, random: &mut Random) -> u64 {
    let offset = match random.below(8) {
        0 => PAGE - 1 - random.below(len),
        _ => 256 + random.below(CODE_LEN - 1024),
    };
    CODE + offset as u64
}

/// An address that a memory operand should have.
fn target(random: &mut Random) -> u64 {
    let offset = match random.below(16) {
        0 => PAGE - random.below(64),
        1 => DATA_LEN - random.below(64),
        2 => DATA_LEN + random.below(PAGE),
        3 if random.one_in(4) => return DATA.wrapping_sub(random.below(32) as u64),
        4 if random.one_in(4) => return random.integer(),
        5..=7 => 512 + random.below(DATA_LEN - 1024),
        _ => 512 + random.below(DATA_LEN / 64 - 16) * 64,
    };
    DATA + offset as u64
}

fn encode(form: &Form, random: &mut Random) -> Option<(Vec<u8>, Instruction)> {
    for attempt in 0..6 {
        let mut bytes = Vec::with_capacity(24);
        let legacy = matches!(form.opcode, Opcode::Legacy { .. });
        if legacy && form.memory && random.one_in(4) {
            bytes.push(0xf0);
        }
        if random.one_in(16) {
            bytes.push(0x67);
        }
        let extension = if form.bits == Bits::B64 {
            random.below(8) as u8
        } else {
            0
        };
        form.opcode.write(
            form.bits,
            if attempt < 5 { extension } else { 0 },
            random.below(16) as u8 * u8::from(attempt < 3),
            &mut bytes,
        );
        modrm(form, attempt, random, &mut bytes);
        for _ in 0..12 {
            bytes.push(if random.one_in(3) {
                random.integer() as u8
            } else {
                random.bits() as u8
            });
        }
        let mut decoder = Decoder::new(form.bits.number(), &bytes, DecoderOptions::NONE);
        let instruction = decoder.decode();
        let memory = instruction.op_kinds().any(|kind| kind == OpKind::Memory);
        if instruction.code() == form.code
            && memory == form.memory
            && instruction.code() != Code::INVALID
        {
            bytes.truncate(instruction.len());
            return Some((bytes, instruction));
        }
    }
    None
}

/// Writes ModRM and SIB. Where there is none, the bytes pass for an immediate, which is as good.
fn modrm(form: &Form, attempt: usize, random: &mut Random, bytes: &mut Vec<u8>) {
    let reg = if attempt < 2 {
        random.below(8) as u8
    } else {
        form.modrm >> 3 & 7
    };
    if form.modrm >= 0xc0 {
        let rm = if attempt < 4 {
            random.below(8) as u8
        } else {
            form.modrm & 7
        };
        bytes.push(0xc0 | reg << 3 | rm);
        return;
    }
    let rm = if attempt < 4 {
        random.below(8) as u8
    } else {
        form.modrm & 7
    };
    let mode = random.below(3) as u8;
    bytes.push(mode << 6 | reg << 3 | rm);
    if rm == 4 {
        bytes.push(random.bits() as u8);
    }
}

/// Registers at random.
pub(crate) fn registers(random: &mut Random) -> Registers {
    let mut registers = Registers::new();
    for register in &mut registers.gpr {
        *register = random.integer();
    }
    // CF, PF, AF, ZF, SF, DF, OF at random; IF set as everywhere in user mode.
    registers.rflags = 0x202 | random.bits() & 0x8d5 | if random.one_in(4) { 0x400 } else { 0 };
    let area = &mut registers.xsave;
    x87(random, area);
    let mxcsr = match random.below(4) {
        0 => random.bits() as u32 & 0xffff,
        1 => 0x1f80 | random.bits() as u32 & 0xe07f,
        _ => 0x1f80,
    };
    area[24..28].copy_from_slice(&mxcsr.to_le_bytes());
    area[28..32].copy_from_slice(&0xffff_u32.to_le_bytes());
    for register in 0..16 {
        for (base, _) in [(160, 0), (576, 1)] {
            let [low, high] = random.vector();
            let at = base + register * 16;
            area[at..at + 8].copy_from_slice(&low.to_le_bytes());
            area[at + 8..at + 16].copy_from_slice(&high.to_le_bytes());
        }
    }
    area[512..520].copy_from_slice(&7_u64.to_le_bytes());
    registers
}

fn x87(random: &mut Random, area: &mut [u8]) {
    let control = if random.one_in(4) {
        0x40 | random.bits() as u16 & 0xf3f
    } else {
        0x37f | random.bits() as u16 & 0xc00
    };
    let conditions = random.bits() as u16 & 0x4700 | (random.below(8) as u16) << 11;
    let mut status = conditions;
    if random.one_in(4) {
        status |= random.bits() as u16 & 0x7f;
    }
    if status & !control & 0x3f != 0 {
        if random.one_in(4) {
            status |= 0x8080;
        } else {
            status &= control | !0x3f;
        }
    }
    area[0..2].copy_from_slice(&control.to_le_bytes());
    area[2..4].copy_from_slice(&status.to_le_bytes());
    area[4] = if random.one_in(2) {
        0xff
    } else {
        random.bits() as u8
    };
    for register in 0..8 {
        let at = 32 + register * 16;
        let (significand, exponent) = extended(random);
        area[at..at + 8].copy_from_slice(&significand.to_le_bytes());
        area[at + 8..at + 10].copy_from_slice(&exponent.to_le_bytes());
    }
}

/// Significand and sign-exponent of a double-extended number.
fn extended(random: &mut Random) -> (u64, u16) {
    const CORNERS: [(u64, u16); 12] = [
        (0, 0),
        (0, 0x8000),
        (1 << 63, 0x3fff),
        (1 << 63, 0xbfff),
        (1 << 63, 0x7fff),
        (1 << 63, 0xffff),
        (3 << 62, 0x7fff),
        (0xa000_0000_0000_0000, 0x7fff),
        (1, 0),
        (u64::MAX, 0x7ffe),
        (1 << 63, 1),
        (0xc90f_daa2_2168_c235, 0x4000),
    ];
    match random.below(4) {
        0 => random.pick(&CORNERS),
        1 => (random.bits(), random.bits() as u16),
        _ => (
            random.bits() | 1 << 63,
            (0x3fff - 40 + random.below(80) as u16) | (random.bits() as u16 & 0x8000),
        ),
    }
}
