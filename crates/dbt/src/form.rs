//! What is left of an instruction when its registers and addresses are taken away.
//!
//! Instructions that differ only in which general and vector registers they name, or in how they address
//! memory, share one form and therefore one stub, so the number of forms is finite: a guest can't fill the
//! code memory. The registers come back as [`Slots`], offsets into the [`Context`].

use iced_x86::{Code, CpuidFeature, EncodingKind, Instruction, Mnemonic, OpKind, Register};

use crate::Context;

/// Where in the [`Context`] an instruction's register operands lie: 16 bits by operand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slots(u64);

impl Slots {
    /// Offsets that generated code may add to a context's address without leaving it.
    const VALID: u64 = 0x03f8;

    /// As bits, to be kept in a decoded instruction.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// From [`Slots::bits`]. Other bits name other registers, but never anything outside a context.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & (Self::VALID | Self::VALID << 16 | Self::VALID << 32 | Self::VALID << 48))
    }

    #[inline(always)]
    pub(crate) const fn offset(self, operand: u32) -> u64 {
        self.0 >> (16 * operand) & 0xffff
    }

    fn set(&mut self, operand: u32, offset: i64) {
        self.0 |= (offset as u64) << (16 * operand);
    }
}

// The last valid offset and a vector register behind it lie inside the context.
const _: () = assert!(Slots::VALID as usize + 32 <= size_of::<Context>());

/// The register that points at the memory operand while a stub runs.
pub(crate) const MEMORY: Register = Register::RSI;

/// The form of an instruction that can run natively: register operands by number of operand (vectors from
/// XMM1 on, general registers from R12 on, high byte registers from AH on), the memory operand as `[rsi]`.
/// `None` when it can't.
pub(crate) fn of(guest: &Instruction) -> Option<(Instruction, Slots)> {
    let code = guest.code();
    if !is_native(code) {
        return None;
    }
    let mut form = Instruction::default();
    form.set_code(code);
    let mut slots = Slots::default();
    for operand in 0..guest.op_count() {
        match guest.op_kind(operand) {
            OpKind::Register => {
                let register = guest.op_register(operand);
                form.set_op_kind(operand, OpKind::Register);
                form.set_op_register(operand, register);
                if let Some((stand_in, offset)) = stand_in(code, register, operand) {
                    form.set_op_register(operand, stand_in);
                    slots.set(operand, offset);
                }
            }
            OpKind::Memory => {
                form.set_op_kind(operand, OpKind::Memory);
                form.set_memory_base(MEMORY);
            }
            OpKind::Immediate8 => {
                form.set_op_kind(operand, OpKind::Immediate8);
                form.set_immediate8(guest.immediate8());
            }
            _ => return None,
        }
    }
    Some((form, slots))
}

/// What a register operand becomes in a form, and its slot; `None` for those that stay (x87, MMX, AX of FNSTSW).
fn stand_in(code: Code, register: Register, operand: u32) -> Option<(Register, i64)> {
    let number = register.full_register().number() as i64;
    let gpr = |first: Register| Some((first + operand, number * 8));
    match register {
        _ if code == Code::Fnstsw_AX => None,
        _ if register.is_xmm() => Some((Register::XMM1 + operand, Context::YMM + number * 32)),
        _ if register.is_ymm() => Some((Register::YMM1 + operand, Context::YMM + number * 32)),
        _ if register.is_gpr64() => gpr(Register::R12),
        _ if register.is_gpr32() => gpr(Register::R12D),
        _ if register.is_gpr16() => gpr(Register::R12W),
        Register::AH | Register::CH | Register::DH | Register::BH => {
            Some((Register::AH + operand, number * 8))
        }
        _ if register.is_gpr8() => gpr(Register::R12L),
        _ => None,
    }
}

/// Whether stubs are made for an instruction. Nothing here is privileged, branches, or touches memory other
/// than by an explicit operand whose bytes are all accessed.
pub(crate) fn is_native(code: Code) -> bool {
    let features = code.cpuid_features();
    let extension = |feature: &CpuidFeature| EXTENSIONS.contains(feature);
    let x87 = features.iter().any(|feature| X87.contains(feature));
    let known = |feature: &CpuidFeature| {
        extension(feature) || x87 && (X87.contains(feature) || *feature == CpuidFeature::CMOV)
    };
    !features.is_empty() && features.iter().all(known) && !is_special(code.mnemonic())
}

/// Whether an instruction works on the x87 registers.
pub(crate) fn is_x87(code: Code) -> bool {
    code.cpuid_features()
        .iter()
        .any(|feature| X87.contains(feature))
}

const EXTENSIONS: [CpuidFeature; 24] = [
    CpuidFeature::MMX,
    CpuidFeature::SSE,
    CpuidFeature::SSE2,
    CpuidFeature::SSE3,
    CpuidFeature::SSSE3,
    CpuidFeature::SSE4_1,
    CpuidFeature::SSE4_2,
    CpuidFeature::AVX,
    CpuidFeature::AVX2,
    CpuidFeature::FMA,
    CpuidFeature::F16C,
    CpuidFeature::BMI1,
    CpuidFeature::BMI2,
    CpuidFeature::ADX,
    CpuidFeature::AES,
    CpuidFeature::VAES,
    CpuidFeature::PCLMULQDQ,
    CpuidFeature::VPCLMULQDQ,
    CpuidFeature::SHA,
    CpuidFeature::POPCNT,
    CpuidFeature::LZCNT,
    CpuidFeature::MOVBE,
    CpuidFeature::RDRAND,
    CpuidFeature::RDSEED,
];

const X87: [CpuidFeature; 3] = [
    CpuidFeature::FPU,
    CpuidFeature::FPU287,
    CpuidFeature::FPU387,
];

/// Instructions of those extensions that are not executed natively: some touch memory conditionally or
/// implicitly, some change state that lives in the context, some see addresses of the host.
fn is_special(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Maskmovq
            | Mnemonic::Maskmovdqu
            | Mnemonic::Vmaskmovdqu
            | Mnemonic::Vmaskmovps
            | Mnemonic::Vmaskmovpd
            | Mnemonic::Vpmaskmovd
            | Mnemonic::Vpmaskmovq
            | Mnemonic::Vgatherdps
            | Mnemonic::Vgatherdpd
            | Mnemonic::Vgatherqps
            | Mnemonic::Vgatherqpd
            | Mnemonic::Vpgatherdd
            | Mnemonic::Vpgatherdq
            | Mnemonic::Vpgatherqd
            | Mnemonic::Vpgatherqq
            | Mnemonic::Vzeroall
            | Mnemonic::Vzeroupper
            | Mnemonic::Ldmxcsr
            | Mnemonic::Stmxcsr
            | Mnemonic::Vldmxcsr
            | Mnemonic::Vstmxcsr
            | Mnemonic::Fnstenv
            | Mnemonic::Fstenv
            | Mnemonic::Fldenv
            | Mnemonic::Fnsave
            | Mnemonic::Fsave
            | Mnemonic::Frstor
            | Mnemonic::Fstcw
            | Mnemonic::Fstsw
            | Mnemonic::Fclex
            | Mnemonic::Finit
            | Mnemonic::Feni
            | Mnemonic::Fdisi
            | Mnemonic::Fsetpm
            | Mnemonic::Lfence
            | Mnemonic::Mfence
            | Mnemonic::Sfence
            | Mnemonic::Prefetchnta
            | Mnemonic::Prefetcht0
            | Mnemonic::Prefetcht1
            | Mnemonic::Prefetcht2
    )
}

/// The alignment that a memory operand must have, or 1: legacy SSE operands of 16 bytes but for those of the
/// unaligned moves and the string comparisons, and of the VEX encodings the aligned and non-temporal moves
/// (SDM vol. 1, 14.9; vol. 2, 2.4).
pub(crate) fn alignment(code: Code, bytes: usize) -> usize {
    let mnemonic = code.mnemonic();
    let aligned = if code.encoding() == EncodingKind::VEX {
        matches!(
            mnemonic,
            Mnemonic::Vmovaps
                | Mnemonic::Vmovapd
                | Mnemonic::Vmovdqa
                | Mnemonic::Vmovntps
                | Mnemonic::Vmovntpd
                | Mnemonic::Vmovntdq
                | Mnemonic::Vmovntdqa
        )
    } else {
        bytes == 16
            && !matches!(
                mnemonic,
                Mnemonic::Movups
                    | Mnemonic::Movupd
                    | Mnemonic::Movdqu
                    | Mnemonic::Lddqu
                    | Mnemonic::Pcmpestri
                    | Mnemonic::Pcmpestri64
                    | Mnemonic::Pcmpestrm
                    | Mnemonic::Pcmpestrm64
                    | Mnemonic::Pcmpistri
                    | Mnemonic::Pcmpistrm
            )
    };
    if aligned { bytes } else { 1 }
}

/// Whether MXCSR decides what an instruction does, or records what it did.
pub(crate) fn uses_mxcsr(code: Code) -> bool {
    if code.cpuid_features().contains(&CpuidFeature::FMA) {
        return true;
    }
    let name = format!("{:?}", code.mnemonic());
    let name = name.strip_prefix('V').unwrap_or(&name).to_ascii_lowercase();
    let vector = ["ps", "pd", "ss", "sd"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    let arithmetic = ARITHMETIC.iter().any(|prefix| name.starts_with(prefix));
    name.starts_with("cvt") || vector && arithmetic
}

/// How the names of floating-point arithmetic begin, for operands of PS, PD, SS and SD.
const ARITHMETIC: [&str; 16] = [
    "add", "sub", "mul", "div", "sqrt", "min", "max", "cmp", "comi", "ucomi", "round", "dpp",
    "hadd", "hsub", "rcp", "rsqrt",
];

/// Whether an instruction converts floating-point numbers to integers, which depends on MXCSR even where the number is in
/// memory, so that no vector register is named.
pub fn converts(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Cvtss2si
            | M::Cvtsd2si
            | M::Cvttss2si
            | M::Cvttsd2si
            | M::Vcvtss2si
            | M::Vcvtsd2si
            | M::Vcvttss2si
            | M::Vcvttsd2si
            | M::Cvtps2pi
            | M::Cvtpd2pi
            | M::Cvttps2pi
            | M::Cvttpd2pi
    )
}
