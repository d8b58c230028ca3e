//! Every form against the host: the same instruction, in its own encoding and on its own registers, must do to
//! a whole register file what its stub does to a context.

use iced_x86::{
    Code, CpuidFeature, Decoder, Encoder, Instruction, MemoryOperand, OpCodeOperandKind as Kind,
    OpKind, Register,
};

use x86::Vector;

use super::{Buffer, MAKER, Memory, find, get, prepare};
use crate::emit::{self, Access, Assembler, at, unary};
use crate::x87::{self, Image};
use crate::{Context, cc, form, host_has};

/// Bytes that no stub needs.
const LONGEST: usize = 128;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u32 {
        (self.next() >> 33) as u32 % end as u32
    }

    /// Operands that are interesting as integers and as floating point.
    fn operand(&mut self) -> u64 {
        const CORNERS: [u64; 10] = [
            0,
            1,
            u64::MAX,
            1 << 63,
            0x3ff0_0000_3f80_0000,
            0x7ff0_0000_7f80_0000,
            0x7ff4_0000_7fa0_0000,
            0x000f_ffff_0000_0001,
            0x8000_0000_7fff_ffff,
            0xc010_0000_c040_0000,
        ];
        match self.below(3) {
            0 => CORNERS[self.below(10) as usize],
            1 => (self.below(400) as f64 / 8.0 - 20.0).to_bits(),
            _ => self.next(),
        }
    }

    fn context(&mut self) -> Context {
        let mut context = Context::default();
        context.gpr[..16].fill_with(|| self.operand());
        for register in &mut context.ymm {
            register.fill_with(|| self.operand());
        }
        context.cc =
            self.next() & (cc::CF | cc::PF | cc::AF | cc::ZF | cc::SF | cc::OF) | cc::FIXED;
        // Everything masked; rounding, FTZ, DAZ and flags at random.
        context.mxcsr = 0x1f80 | self.below(1 << 16) & 0xe07f;
        context
    }

    fn image(&mut self) -> Image {
        let mut image = Image::default();
        image.0[0..2].copy_from_slice(&(0x7f | self.below(16) as u16 & 15 << 8).to_le_bytes());
        image.0[2..4].copy_from_slice(&(self.next() as u16 & 0x787f).to_le_bytes());
        image.0[4] = [0xff, self.next() as u8][self.below(2) as usize];
        for register in image.0[32..160].chunks_mut(16) {
            let exponent = match self.below(3) {
                0 => 0x3fff + self.below(70) as u16,
                1 => 0,
                _ => self.next() as u16,
            };
            let integer = (self.operand() | 1 << 63).to_le_bytes();
            register[..8].copy_from_slice(&integer);
            register[8..10].copy_from_slice(&exponent.to_le_bytes());
        }
        image
    }
}

/// An instruction of an encoding with random operands; memory operands are at R15.
fn instruction(code: Code, memory: bool, random: &mut Random) -> Option<Instruction> {
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    let mut any = false;
    for (operand, kind) in code.op_code().op_kinds().iter().enumerate() {
        let operand = operand as u32;
        let mut gpr = |first: Register| {
            // Neither RSP nor R15.
            let number = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14][random.below(14) as usize];
            first + number
        };
        let register = match kind {
            Kind::mem => None,
            Kind::xmm_or_mem
            | Kind::ymm_or_mem
            | Kind::mm_or_mem
            | Kind::r8_or_mem
            | Kind::r16_or_mem
            | Kind::r32_or_mem
            | Kind::r64_or_mem
                if memory =>
            {
                None
            }
            Kind::imm8 => {
                instruction.set_op_kind(operand, OpKind::Immediate8);
                instruction.set_immediate8(random.next() as u8);
                continue;
            }
            Kind::xmm_reg | Kind::xmm_rm | Kind::xmm_vvvv | Kind::xmm_is4 | Kind::xmm_or_mem => {
                Some(Register::XMM0 + random.below(16))
            }
            Kind::ymm_reg | Kind::ymm_rm | Kind::ymm_vvvv | Kind::ymm_is4 | Kind::ymm_or_mem => {
                Some(Register::YMM0 + random.below(16))
            }
            Kind::mm_reg | Kind::mm_rm | Kind::mm_or_mem => Some(Register::MM0 + random.below(8)),
            Kind::r8_or_mem => Some(Register::AL + random.below(20)),
            Kind::r16_reg | Kind::r16_rm | Kind::r16_or_mem => Some(gpr(Register::AX)),
            Kind::r32_reg | Kind::r32_rm | Kind::r32_vvvv | Kind::r32_or_mem => {
                Some(gpr(Register::EAX))
            }
            Kind::r64_reg | Kind::r64_rm | Kind::r64_vvvv | Kind::r64_or_mem => {
                Some(gpr(Register::RAX))
            }
            Kind::st0 => Some(Register::ST0),
            Kind::sti_opcode => Some(Register::ST0 + random.below(8)),
            Kind::ax => Some(Register::AX),
            other => panic!("{code:?} has an operand {other:?}"),
        };
        match register {
            Some(register) => {
                instruction.set_op_kind(operand, OpKind::Register);
                instruction.set_op_register(operand, register);
            }
            None => {
                any = true;
                instruction.set_op_kind(operand, OpKind::Memory);
                instruction.set_memory_base(Register::R15);
            }
        }
    }
    (any == memory).then_some(instruction)
}

/// A function that loads all registers but RSP and R15 (the memory operand) from a context, executes an
/// instruction, and stores them.
fn whole(instruction: &Instruction) -> Option<Vec<u8>> {
    let mut out = Assembler(Encoder::new(64));
    let others = [0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 13, 14];
    out.bytes(&[
        0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x57,
    ]);
    out.bytes(&[0x49, 0x89, 0xf7]); // mov r15, rsi
    out.add(&unary(Code::Ldmxcsr_m32, at(Context::MXCSR)));
    for number in 0..16 {
        let (code, from) = (
            Code::VEX_Vmovdqu_ymm_ymmm256,
            at(Context::YMM + 32 * i64::from(number)),
        );
        out.binary(code, Register::YMM0 + number, from);
    }
    out.binary(Code::Mov_r64_rm64, Register::RAX, at(Context::CC));
    out.bytes(&[0x04, 0x7f, 0x9e]);
    for number in others.into_iter().chain([7]) {
        out.binary(
            Code::Mov_r64_rm64,
            Register::RAX + number,
            at(8 * i64::from(number)),
        );
    }
    out.0.encode(instruction, 0).ok()?;
    out.bytes(&[0x48, 0x87, 0x3c, 0x24]); // xchg [rsp], rdi
    let store = |out: &mut Assembler, code, to: MemoryOperand, from: Register| {
        out.add(&Instruction::with2(code, to, from).unwrap());
    };
    for number in others {
        store(
            &mut out,
            Code::Mov_rm64_r64,
            at(8 * i64::from(number)),
            Register::RAX + number,
        );
    }
    out.bytes(&[0x58]); // pop rax
    store(&mut out, Code::Mov_rm64_r64, at(8 * 7), Register::RAX);
    out.bytes(&[0x9f, 0x0f, 0x90, 0xc0, 0x0f, 0xb7, 0xc0]);
    store(&mut out, Code::Mov_rm64_r64, at(Context::CC), Register::RAX);
    for number in 0..16 {
        let to = at(Context::YMM + 32 * i64::from(number));
        store(
            &mut out,
            Code::VEX_Vmovdqu_ymmm256_ymm,
            to,
            Register::YMM0 + number,
        );
    }
    out.add(&unary(Code::Stmxcsr_m32, at(Context::MXCSR)));
    out.add(&unary(Code::Ldmxcsr_m32, at(Context::HOST_MXCSR)));
    out.add(&Instruction::with(Code::VEX_Vzeroupper));
    out.bytes(&[
        0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3,
    ]);
    Some(out.0.take_buffer())
}

/// Instructions whose results are not a function of their operands.
fn is_random(code: Code) -> bool {
    let random = [CpuidFeature::RDRAND, CpuidFeature::RDSEED];
    code.cpuid_features()
        .iter()
        .any(|feature| random.contains(feature))
}

fn run_whole(code: usize, context: &mut Context, buffer: &mut Buffer) {
    // SAFETY: `whole` made a function of this type.
    let function: extern "sysv64" fn(*mut Context, *mut u8) = unsafe { std::mem::transmute(code) };
    function(context, buffer.0.as_mut_ptr());
}

/// The image without what depends on the instruction's address.
fn comparable(image: &Image) -> Vec<u8> {
    [&image.0[..6], &image.0[32..160]].concat()
}

fn check(code: Code, memory: bool, random: &mut Random) -> bool {
    let Some(instruction) = instruction(code, memory, random) else {
        return false;
    };
    let Some(bytes) = whole(&instruction) else {
        // A high byte register beside one that needs a REX prefix.
        assert!(
            code.op_code().op_kinds().contains(&Kind::r8_or_mem),
            "{code:?}"
        );
        return false;
    };
    let (form, _) = form::of(&instruction).expect("a native instruction");
    assert!(emit::emit(&form).code.len() < LONGEST, "{code:?}");
    let (number, slots) = find(&instruction).expect("native instructions have stubs");
    let stub = get(number);
    assert_eq!(stub.access == Access::None, !memory, "{code:?}");
    assert_eq!(stub.bytes == 0, !memory, "{code:?}");
    let whole = MAKER.get().unwrap().memory.add(&bytes).expect("room");
    for round in 0..4 {
        let mut expected = random.context();
        let mut context = expected.clone();
        let mut buffer = Buffer([0; 64]);
        for piece in buffer.0.chunks_mut(8) {
            piece.copy_from_slice(&random.operand().to_le_bytes());
        }
        let (before, mut expected_buffer) = (buffer.clone(), buffer.clone());
        let image = random.image();
        let (mut after, mut expected_after) = (Image::default(), Image::default());
        x87::load(&image);
        run_whole(whole, &mut expected, &mut expected_buffer);
        x87::store(&mut expected_after);
        x87::load(&image);
        let at = if memory {
            Memory::Buffer(&mut buffer)
        } else {
            Memory::None
        };
        let result = stub.call(&mut context, slots, at);
        x87::store(&mut after);
        x87::load(&Image::default());
        assert_eq!(result, Ok(()), "{code:?}");
        let name = format!("{code:?} {instruction:?} round {round}");
        if is_random(code) {
            continue;
        }
        assert_eq!(context.gpr, expected.gpr, "{name}");
        assert_eq!(context.ymm, expected.ymm, "{name}");
        assert_eq!(context.cc, expected.cc, "{name}");
        assert_eq!(context.mxcsr, expected.mxcsr, "{name}");
        assert_eq!(buffer.0, expected_buffer.0, "{name}");
        assert_eq!(comparable(&after), comparable(&expected_after), "{name}");
        if matches!(stub.access, Access::Read | Access::None) {
            assert_eq!(buffer.0, before.0, "{name}");
        }
        assert_eq!(
            buffer.0[stub.bytes.into()..],
            before.0[stub.bytes.into()..],
            "{name}"
        );
    }
    true
}

#[test]
fn every_form_does_what_the_host_does() {
    if !host_has(CpuidFeature::AVX) {
        eprintln!("skipped: the comparison needs AVX on the host");
        return;
    }
    prepare().unwrap();
    let mut random = Random(0x5eed_0001);
    let mut forms = 0;
    let mut skipped = 0;
    for code in Code::values().filter(|&code| form::is_native(code)) {
        if !code
            .cpuid_features()
            .iter()
            .all(|&feature| host_has(feature))
        {
            skipped += 1;
            continue;
        }
        let register = (0..6).filter(|_| check(code, false, &mut random)).count();
        let memory = (0..6).filter(|_| check(code, true, &mut random)).count();
        assert!(register + memory > 0, "{code:?} has no form");
        forms += usize::from(register > 0) + usize::from(memory > 0);
    }
    if skipped > 0 {
        eprintln!("skipped {skipped} instructions that this host lacks");
    }
    eprintln!("{forms} forms");
    assert!(forms > 1500 || skipped > 0, "only {forms} forms");
}

/// Decodes an instruction and makes its stub.
fn decoded(bytes: &[u8]) -> (&'static super::Stub, crate::Slots) {
    prepare().unwrap();
    let instruction = Decoder::new(64, bytes, 0).decode();
    let (number, slots) = find(&instruction).expect("a native instruction");
    (get(number), slots)
}

#[test]
fn an_unmasked_simd_exception_leaves_all_but_its_flag() {
    // divps xmm3, xmm9
    let (stub, slots) = decoded(&[0x41, 0x0f, 0x5e, 0xd9]);
    let mut context = Context::default();
    context.ymm[3] = [0x3f80_0000_3f80_0000; 4];
    context.mxcsr = 0x1f80 & !(1 << 9);
    let before = context.ymm;
    assert_eq!(
        stub.call(&mut context, slots, Memory::None),
        Err(Vector::XM)
    );
    assert_eq!(context.ymm, before);
    assert_eq!(context.mxcsr, 0x1f80 & !(1 << 9) | 1 << 2);
    // The monitor's own floating point is as before.
    let zero = std::hint::black_box(0.0_f64);
    assert_eq!(1.0 / zero, f64::INFINITY);
    context.mxcsr |= 1 << 9;
    assert_eq!(stub.call(&mut context, slots, Memory::None), Ok(()));
    assert_eq!(context.ymm[3][..2], [0x7f80_0000_7f80_0000; 2]);
    assert_eq!(context.ymm[3][2..], before[3][2..]);
}

#[test]
fn an_exception_inside_a_vex_stub_on_memory_leaves_memory_alone() {
    if !host_has(CpuidFeature::F16C) {
        eprintln!("skipped: this host lacks F16C");
        return;
    }
    // vcvtps2ph [rax], ymm2, 4: overflow
    let (stub, slots) = decoded(&[0xc4, 0xe3, 0x7d, 0x1d, 0x10, 0x04]);
    assert_eq!(
        (stub.bytes, stub.alignment, stub.access),
        (16, 1, Access::Write)
    );
    let mut context = Context::default();
    context.ymm[2] = [0x7f00_0000_7f00_0000; 4];
    context.mxcsr = 0x1f80 & !(1 << 10);
    let mut buffer = Buffer([0x55; 64]);
    let result = stub.call(&mut context, slots, Memory::Buffer(&mut buffer));
    assert_eq!(result, Err(Vector::XM));
    assert_eq!(buffer.0, [0x55; 64]);
}

#[test]
fn instructions_that_differ_in_registers_and_addresses_share_a_stub() {
    let number = |bytes: &[u8]| {
        prepare().unwrap();
        find(&Decoder::new(64, bytes, 0).decode()).unwrap().0
    };
    // paddd xmm0, xmm1; paddd xmm9, xmm15
    let register = number(&[0x66, 0x0f, 0xfe, 0xc1]);
    assert_eq!(register, number(&[0x66, 0x45, 0x0f, 0xfe, 0xcf]));
    // paddd xmm0, [rax]; paddd xmm9, [gs:rbx+rcx*8+0x12345678]
    let memory = number(&[0x66, 0x0f, 0xfe, 0x00]);
    let far = [
        0x65, 0x66, 0x44, 0x0f, 0xfe, 0x8c, 0xcb, 0x78, 0x56, 0x34, 0x12,
    ];
    assert_eq!(memory, number(&far));
    assert_ne!(register, memory);
}

#[test]
fn all_forms_with_all_immediates_fit_the_table_and_the_code_memory() {
    let mut forms = 0_usize;
    for code in Code::values().filter(|&code| form::is_native(code)) {
        let kinds = code.op_code().op_kinds();
        let immediates = if kinds.contains(&Kind::imm8) { 256 } else { 1 };
        // MMX and x87 registers are part of a form.
        let fixed = |kind: &&Kind| {
            matches!(
                kind,
                Kind::mm_reg | Kind::mm_rm | Kind::mm_or_mem | Kind::sti_opcode
            )
        };
        let registers = 8_usize.pow(kinds.iter().filter(fixed).count() as u32);
        let high = if kinds.contains(&Kind::r8_or_mem) {
            2
        } else {
            1
        };
        forms += immediates * registers * high * 2;
    }
    assert!(forms < super::MOST, "{forms} forms");
    assert!(forms * LONGEST <= super::CODE, "{forms} forms");
}
