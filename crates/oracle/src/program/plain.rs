//! Instructions that simply do their work and go on, on registers and on memory that a program may touch.

use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register,
};

use crate::case::Bits;
use crate::form::{self, Form, Opcode};
use crate::layout::{DATA, DATA_LEN, PAGE};
use crate::random::Random;
use crate::vendor;

/// The forms that programs are made of, for both modes.
pub(crate) struct Pools {
    all: [Vec<Form>; 2],
    /// Those on general registers.
    core: [Vec<Form>; 2],
}

/// What the registers are for; the others change as they like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roles {
    /// Point at data.
    pub(super) pointers: [u8; 3],
    /// Counts a loop's rounds.
    pub(super) counter: u8,
    /// A small number, to index with.
    pub(super) small: u8,
}

const RSP: u8 = 4;

/// What has no place in a program: it faults nearly always, or what comes of it needs its own tolerance.
const UNFIT: &[Mnemonic] = &[
    Mnemonic::Cli,
    Mnemonic::Sti,
    Mnemonic::In,
    Mnemonic::Out,
    Mnemonic::Insb,
    Mnemonic::Insw,
    Mnemonic::Insd,
    Mnemonic::Outsb,
    Mnemonic::Outsw,
    Mnemonic::Outsd,
    Mnemonic::Ud0,
    Mnemonic::Ud1,
    Mnemonic::Ud2,
    Mnemonic::Enter,
    Mnemonic::Leave,
    Mnemonic::Xlatb,
    Mnemonic::Ldmxcsr,
    Mnemonic::Vldmxcsr,
    Mnemonic::Fldcw,
    Mnemonic::Fxsave,
    Mnemonic::Fxsave64,
    Mnemonic::Fxrstor,
    Mnemonic::Fxrstor64,
    Mnemonic::Fnsave,
    Mnemonic::Frstor,
    Mnemonic::Fnstenv,
    Mnemonic::Fldenv,
    Mnemonic::Maskmovq,
    Mnemonic::Maskmovdqu,
    Mnemonic::Vmaskmovdqu,
    Mnemonic::Vmaskmovps,
    Mnemonic::Vmaskmovpd,
    Mnemonic::Vpmaskmovd,
    Mnemonic::Vpmaskmovq,
    Mnemonic::Std,
    Mnemonic::Arpl,
    Mnemonic::Bound,
];

impl Pools {
    pub(crate) fn new() -> Self {
        let all = [Bits::B64, Bits::B32].map(|bits| {
            let mut forms = form::all(bits, soft::claims);
            forms.retain(is_fit);
            forms
        });
        let core = all.clone().map(|mut forms| {
            forms.retain(|form| is_core(form.code));
            forms
        });
        Self { all, core }
    }

    /// How many forms there are.
    pub(crate) fn len(&self) -> usize {
        self.all.iter().map(Vec::len).sum()
    }

    /// An instruction for the address `ip`; `stack` allows PUSH and POP. Nothing when the dice gave none that fits.
    pub(super) fn draw(
        &self,
        (bits, roles): (Bits, &Roles),
        ip: u64,
        stack: bool,
        random: &mut Random,
    ) -> Option<(Vec<u8>, Instruction)> {
        let pools = if random.one_in(3) {
            &self.all
        } else {
            &self.core
        };
        let pool = &pools[usize::from(bits == Bits::B32)];
        let form = random.pick(pool);
        let mut bytes = encode(&form, roles, random);
        let mut decoder = Decoder::with_ip(bits.number(), &bytes, ip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        let fits = instruction.code() == form.code
            && is_memory(&instruction) == form.memory
            && is_allowed(&instruction, roles, stack)
            && (!is_division(&instruction) || random.one_in(16));
        bytes.truncate(instruction.len());
        let fits = fits
            && !vendor::is_another(bits, &bytes, &instruction)
            && !vendor::needs_no_alignment(&instruction);
        fits.then_some((bytes, instruction))
    }
}

fn is_fit(form: &Form) -> bool {
    let code = form.code;
    let vsib = code.op_code().op_kinds().iter().any(|kind| {
        format!("{kind:?}").contains("vsib") // a debug name, but for a filter of forms good enough
    });
    code.flow_control() == FlowControl::Next
        && !code.is_privileged()
        && !UNFIT.contains(&code.mnemonic())
        && !vsib
}

fn is_core(code: Code) -> bool {
    code.cpuid_features().iter().all(|feature| {
        matches!(
            feature,
            CpuidFeature::INTEL8086
                | CpuidFeature::INTEL186
                | CpuidFeature::INTEL286
                | CpuidFeature::INTEL386
                | CpuidFeature::INTEL486
                | CpuidFeature::X64
                | CpuidFeature::CMOV
                | CpuidFeature::BMI1
                | CpuidFeature::BMI2
                | CpuidFeature::ADX
                | CpuidFeature::LZCNT
                | CpuidFeature::POPCNT
                | CpuidFeature::MOVBE
                | CpuidFeature::CX8
                | CpuidFeature::CMPXCHG16B
        )
    })
}

fn is_memory(instruction: &Instruction) -> bool {
    instruction.op_kinds().any(|kind| kind == OpKind::Memory)
}

fn is_division(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Div | Mnemonic::Idiv | Mnemonic::Aam
    )
}

/// Whether it keeps its hands off what others need, and touches memory where it may.
fn is_allowed(instruction: &Instruction, roles: &Roles, stack: bool) -> bool {
    let string = instruction.is_string_instruction();
    if string && (instruction.has_rep_prefix() || instruction.has_repne_prefix()) {
        return false; // RCX would have to be small
    }
    let stack_only = matches!(
        instruction.mnemonic(),
        Mnemonic::Push | Mnemonic::Pop | Mnemonic::Pushf | Mnemonic::Pushfd | Mnemonic::Pushfq
    );
    if stack_only && !stack {
        return false;
    }
    let bit_string = matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && instruction.op1_kind() == OpKind::Register;
    if is_memory(instruction) {
        let absolute = instruction.memory_base() == Register::None
            && instruction.memory_index() == Register::None;
        let at = instruction.memory_displacement64();
        let near = at.wrapping_sub(DATA - 64) < (DATA_LEN + PAGE + 128) as u64;
        if bit_string || absolute && !near {
            return false;
        }
    }
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    info.used_registers().iter().all(|used| {
        let writes = !matches!(
            used.access(),
            OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess | OpAccess::None
        );
        if !writes || !used.register().is_gpr() {
            return true;
        }
        let number = used.register().full_register().number() as u8;
        match number {
            RSP => stack_only && !writes_rsp(instruction),
            6 | 7 if string => true,
            _ => {
                number != roles.counter
                    && number != roles.small
                    && !roles.pointers.contains(&number)
            }
        }
    })
}

/// POP RSP, and whatever else names it.
fn writes_rsp(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Pop
        && instruction.op0_kind() == OpKind::Register
        && instruction.op0_register().full_register() == Register::RSP
}

/// Bytes that begin with the form, its operands at random; the decoder tells what became of it.
fn encode(form: &Form, roles: &Roles, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    let legacy = matches!(form.opcode, Opcode::Legacy { .. });
    if legacy && form.memory && random.one_in(6) {
        bytes.push(0xf0);
    }
    let wide = form.bits == Bits::B64;
    if wide && random.one_in(24) {
        bytes.push(0x67);
    }
    let place = form.memory.then(|| Place::draw(roles, wide, random));
    let mut extension = if wide { random.bits() as u8 & 7 } else { 0 };
    if let Some(place) = &place {
        extension = extension & 4 | place.extension();
    }
    if random.one_in(3) {
        extension &= 3;
    }
    let vvvv = if random.one_in(2) {
        random.below(16) as u8
    } else {
        0
    };
    form.opcode.write(form.bits, extension, vvvv, &mut bytes);
    let reg = if random.one_in(2) {
        random.below(8) as u8
    } else {
        form.modrm >> 3 & 7
    };
    match place {
        Some(place) => place.write(reg, &mut bytes),
        None if random.one_in(2) => bytes.push(0xc0 | reg << 3 | random.below(8) as u8),
        None => bytes.push(0xc0 | reg << 3 | form.modrm & 7),
    }
    for _ in 0..12 {
        let byte = if random.one_in(3) {
            random.integer()
        } else {
            random.bits()
        };
        bytes.push(byte as u8);
    }
    bytes
}

/// How a memory operand is written.
enum Place {
    /// Base, index with its scale's exponent, displacement.
    Based(u8, Option<(u8, u8)>, i32),
    /// A bare address.
    Absolute(u32, bool),
}

impl Place {
    fn draw(roles: &Roles, wide: bool, random: &mut Random) -> Self {
        if random.one_in(16) {
            let at = DATA as usize + random.below(DATA_LEN / 4);
            return Self::Absolute(at as u32 & !15, wide);
        }
        let base = random.pick(&roles.pointers);
        let index = random
            .one_in(4)
            .then(|| (roles.small, random.below(4) as u8));
        let displacement = match random.below(8) {
            0 => 0,
            1 => random.below(256) as i32 - 128,
            2 => random.below(512) as i32,
            _ => 16 * (random.below(12) as i32 - 4),
        };
        Self::Based(base, index, displacement)
    }

    /// REX.X and REX.B.
    fn extension(&self) -> u8 {
        match self {
            Self::Based(base, index, _) => {
                base >> 3 | index.map_or(0, |(index, _)| index >> 3 << 1)
            }
            Self::Absolute(..) => 0,
        }
    }

    fn write(&self, reg: u8, bytes: &mut Vec<u8>) {
        match *self {
            Self::Absolute(at, wide) => {
                if wide {
                    bytes.extend([reg << 3 | 4, 0x25]);
                } else {
                    bytes.push(reg << 3 | 5);
                }
                bytes.extend(at.to_le_bytes());
            }
            Self::Based(base, index, displacement) => {
                let short = i8::try_from(displacement);
                let mode = match short {
                    Ok(0) if base & 7 != 5 => 0,
                    Ok(_) => 0x40,
                    Err(_) => 0x80,
                };
                match index {
                    Some((index, scale)) => {
                        bytes.extend([
                            mode | reg << 3 | 4,
                            scale << 6 | (index & 7) << 3 | base & 7,
                        ]);
                    }
                    None if base & 7 == 4 => bytes.extend([mode | reg << 3 | 4, 0x24]),
                    None => bytes.push(mode | reg << 3 | base & 7),
                }
                match mode {
                    0 => {}
                    0x40 => bytes.push(displacement as u8),
                    _ => bytes.extend(displacement.to_le_bytes()),
                }
            }
        }
    }
}
