//! From forms to stubs.
//!
//! A stub is a function with a convention of its own: RDI points at the [`Context`], RSI at the memory operand,
//! R8 to R11 hold the slots of operands 0 to 3. It may change every register that the C ABI lets a callee
//! change and no other, leaves MXCSR's controls and the upper halves of the vector registers as it found them,
//! and returns zero in RAX. It never pushes, so at each of its instructions RSP points at the return address: that
//! is what lets a signal handler leave it in the middle (see [`crate::stub`]).

use iced_x86::{
    Code, Encoder, EncodingKind, Instruction, InstructionInfoFactory, MemoryOperand, OpAccess,
    OpKind, Register, RflagsBits as Bits,
};
use x86::flags;

use crate::context::HOST_MXCSR;
use crate::form;
use crate::{Context, cc};

const CONTEXT: Register = Register::RDI;
const SLOT: [Register; 4] = [Register::R8, Register::R9, Register::R10, Register::R11];
/// Homes for general registers, in the order of their use. The first three have high bytes. R11 comes last:
/// nothing has three general registers and an operand 3.
const HOMES: [Register; 4] = [Register::RAX, Register::RCX, Register::RDX, Register::R11];

/// What a stub does with its memory operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// There is none.
    None,
    /// Only reads it.
    Read,
    /// Only writes it.
    Write,
    /// Reads and writes it.
    ReadWrite,
}

/// A register that lives in the context outside of stubs.
#[derive(Debug, Clone, Copy)]
struct Resident {
    /// The host's register: a 64-bit general register, XMM or YMM.
    host: Register,
    /// `None`: at its own place. Else: at the slot of this operand.
    operand: Option<u32>,
    read: bool,
    written: bool,
}

/// A stub before it has a place.
pub(crate) struct Emitted {
    pub(crate) code: Vec<u8>,
    pub(crate) bytes: usize,
    pub(crate) access: Access,
}

/// Makes the stub of a form.
pub(crate) fn emit(form: &Instruction) -> Emitted {
    let mut body = *form;
    let mut factory = InstructionInfoFactory::new();
    let mut residents = implicit(form, &mut factory);
    let implicit = residents.len();
    assign(&mut body, &mut residents);
    let info = factory.info(&body);
    let mut access = Access::None;
    for operand in 0..body.op_count() {
        let (read, written) = reads_writes(info.op_access(operand));
        if body.op_kind(operand) == OpKind::Memory {
            access = match (read, written) {
                (true, true) => Access::ReadWrite,
                (false, true) => Access::Write,
                _ => Access::Read,
            };
        }
        for resident in &mut residents[implicit..] {
            if resident.operand == Some(operand) {
                resident.read |= read;
                resident.written |= written;
            }
        }
    }
    let stub = Stub {
        vex: form.code().encoding() == EncodingKind::VEX,
        mxcsr: form::uses_mxcsr(form.code()),
        flags: Flags::of(&body),
        residents,
        body,
    };
    Emitted {
        code: stub.assemble(),
        bytes: match access {
            Access::None => 0,
            _ => form.memory_size().size(),
        },
        access,
    }
}

fn reads_writes(access: OpAccess) -> (bool, bool) {
    match access {
        OpAccess::None | OpAccess::NoMemAccess => (false, false),
        OpAccess::Read | OpAccess::CondRead => (true, false),
        OpAccess::Write => (false, true),
        OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true),
    }
}

/// The registers that the instruction uses without naming them.
fn implicit(form: &Instruction, factory: &mut InstructionInfoFactory) -> Vec<Resident> {
    let mut probe = *form;
    let mut named = vec![form::MEMORY];
    for operand in 0..form.op_count() {
        if form.op_kind(operand) == OpKind::Register && form.code() != Code::Fnstsw_AX {
            if is_high(form.op_register(operand)) {
                probe.set_op_register(operand, Register::R12L + operand);
            }
            named.push(probe.op_register(operand).full_register());
        }
    }
    let mut found: Vec<Resident> = Vec::new();
    for used in factory.info(&probe).used_registers() {
        let register = used.register();
        let host = match () {
            () if register.is_gpr() => register.full_register(),
            () if register.is_vector_register() => Register::XMM0 + register.number() as u32,
            () => continue,
        };
        if named.contains(&host.full_register()) {
            continue;
        }
        let (read, written) = reads_writes(used.access());
        match found.iter_mut().find(|resident| resident.host == host) {
            Some(resident) => {
                resident.read |= read;
                resident.written |= written;
            }
            None => found.push(Resident {
                host,
                operand: None,
                read,
                written,
            }),
        }
    }
    found
}

fn is_high(register: Register) -> bool {
    matches!(
        register,
        Register::AH | Register::CH | Register::DH | Register::BH
    )
}

/// Gives the stand-ins of general registers their homes, and lists all registers that operands name.
fn assign(body: &mut Instruction, residents: &mut Vec<Resident>) {
    let taken: Vec<Register> = residents.iter().map(|resident| resident.host).collect();
    let mut homes = HOMES.iter().filter(|home| !taken.contains(home));
    for operand in 0..body.op_count() {
        let register = body.op_register(operand);
        if body.op_kind(operand) != OpKind::Register || body.code() == Code::Fnstsw_AX {
            continue;
        }
        let host = if register.is_gpr() {
            let home = *homes
                .next()
                .expect("no instruction names so many registers");
            body.set_op_register(operand, resized(home, register));
            home
        } else if register.is_vector_register() {
            register
        } else {
            continue;
        };
        residents.push(Resident {
            host,
            operand: Some(operand),
            read: false,
            written: false,
        });
    }
}

/// The part of a 64-bit register that has the width (and height) of `like`.
fn resized(register: Register, like: Register) -> Register {
    let number = register.number() as u32;
    match like.size() {
        8 => Register::RAX + number,
        4 => Register::EAX + number,
        2 => Register::AX + number,
        _ if is_high(like) => Register::AH + number,
        // AL to BL, then AH to BH, then SPL and on.
        _ if number < 4 => Register::AL + number,
        _ => Register::SPL + (number - 4),
    }
}

/// What an instruction does with the arithmetic flags.
#[derive(Debug, Clone, Copy)]
struct Flags {
    load: bool,
    save: bool,
}

impl Flags {
    /// Flags that are undefined after the instruction may keep their old value.
    fn of(instruction: &Instruction) -> Self {
        const ALL: u32 = Bits::CF | Bits::PF | Bits::AF | Bits::ZF | Bits::SF | Bits::OF;
        let modified = instruction.rflags_modified() & ALL;
        let replaced = modified & !instruction.rflags_undefined();
        Self {
            load: instruction.rflags_read() & ALL != 0 || modified != 0 && replaced != ALL,
            save: modified != 0,
        }
    }
}

struct Stub {
    body: Instruction,
    residents: Vec<Resident>,
    vex: bool,
    mxcsr: bool,
    flags: Flags,
}

impl Stub {
    fn assemble(&self) -> Vec<u8> {
        let mut out = Assembler(Encoder::new(64));
        if self.mxcsr {
            out.enter_mxcsr();
        }
        if self.flags.load {
            out.binary(Code::Mov_r64_rm64, Register::RAX, at(Context::CC));
            out.bytes(&[0x04, 0x7f, 0x9e]); // add al, 0x7f; sahf
        }
        for resident in &self.residents {
            if self.must_load(resident) {
                let code = self.load(resident);
                out.binary(code, resident.host, resident.place());
            }
        }
        out.add(&self.body);
        for resident in self.residents.iter().rev().filter(|one| one.written) {
            self.store(&mut out, resident);
        }
        if self.flags.save {
            out.bytes(&[0x9f, 0x0f, 0x90, 0xc0, 0x0f, 0xb7, 0xc0]); // lahf; seto al; movzx eax, ax
            let save = Instruction::with2(Code::Mov_rm64_r64, at(Context::CC), Register::RAX);
            out.add(&save.expect("operands of MOV"));
        }
        if self.mxcsr {
            out.leave_mxcsr();
        }
        if self.residents.iter().any(|resident| resident.host.is_ymm()) {
            out.add(&Instruction::with(Code::VEX_Vzeroupper));
        }
        out.bytes(&[0x31, 0xc0, 0xc3]); // xor eax, eax; ret
        out.0.take_buffer()
    }

    /// Whether a register's old value matters. General and legacy vector registers keep the parts that an
    /// instruction leaves alone; VEX ones are written as a whole.
    fn must_load(&self, resident: &Resident) -> bool {
        resident.read || !self.vex || resident.host.is_gpr()
    }

    fn load(&self, resident: &Resident) -> Code {
        match () {
            () if resident.host.is_gpr() => Code::Mov_r64_rm64,
            () if resident.host.is_ymm() => Code::VEX_Vmovdqu_ymm_ymmm256,
            () if self.vex => Code::VEX_Vmovdqu_xmm_xmmm128,
            () => Code::Movups_xmm_xmmm128,
        }
    }

    fn store(&self, out: &mut Assembler, resident: &Resident) {
        let (code, register) = match () {
            () if resident.host.is_gpr() => (Code::Mov_rm64_r64, resident.host),
            // The upper half is zero after a VEX.128 instruction, in the guest's register too.
            () if self.vex => (
                Code::VEX_Vmovdqu_ymmm256_ymm,
                Register::YMM0 + resident.host.number() as u32,
            ),
            () => (Code::Movups_xmmm128_xmm, resident.host),
        };
        let store = Instruction::with2(code, resident.place(), register);
        out.add(&store.expect("operands of a move"));
    }
}

impl Resident {
    /// Where in the context it lives.
    fn place(&self) -> MemoryOperand {
        let number = self.host.number() as i64;
        match self.operand {
            Some(operand) => MemoryOperand::with_base_index(CONTEXT, SLOT[operand as usize]),
            None if self.host.is_gpr() => at(number * 8),
            None => at(Context::YMM + number * 32),
        }
    }
}

/// A place in the context.
pub(crate) fn at(offset: i64) -> MemoryOperand {
    MemoryOperand::with_base_displ(CONTEXT, offset)
}

pub(crate) fn unary(code: Code, memory: MemoryOperand) -> Instruction {
    Instruction::with1(code, memory).expect("operand of LDMXCSR")
}

pub(crate) struct Assembler(pub(crate) Encoder);

impl Assembler {
    pub(crate) fn add(&mut self, instruction: &Instruction) {
        self.0
            .encode(instruction, 0)
            .expect("decoded instructions can be encoded");
    }

    pub(crate) fn binary(&mut self, code: Code, register: Register, memory: MemoryOperand) {
        self.add(&Instruction::with2(code, register, memory).expect("operands of a move"));
    }

    /// Makes MXCSR the guest's. Loading it costs ten times as much as looking at it, and most often it is the same
    /// but for its flags, which this process's code does not care about: so it stays when its controls are the
    /// host's ([`Assembler::leave_mxcsr`]), and the next stub finds it there.
    fn enter_mxcsr(&mut self) {
        self.add(&unary(Code::Stmxcsr_m32, at(Context::SCRATCH)));
        self.binary(Code::Mov_r32_rm32, Register::EAX, at(Context::SCRATCH));
        self.binary(Code::Cmp_r32_rm32, Register::EAX, at(Context::MXCSR));
        self.unless_equal(&unary(Code::Ldmxcsr_m32, at(Context::MXCSR)));
    }

    fn leave_mxcsr(&mut self) {
        self.add(&unary(Code::Stmxcsr_m32, at(Context::MXCSR)));
        self.binary(Code::Mov_r32_rm32, Register::EAX, at(Context::MXCSR));
        let [a, b, ..] = HOST_MXCSR.to_le_bytes();
        self.bytes(&[0x25, 0xc0, 0xff, 0, 0, 0x3d, a, b, 0, 0]); // and eax, 0xffc0; cmp eax, HOST_MXCSR
        self.unless_equal(&unary(Code::Ldmxcsr_m32, at(Context::HOST_MXCSR)));
    }

    /// Adds an instruction that is skipped when ZF is set.
    fn unless_equal(&mut self, instruction: &Instruction) {
        let mut skipped = Encoder::new(64);
        let len = skipped.encode(instruction, 0);
        let len = len.expect("made from valid operands");
        self.bytes(&[0x74, len as u8]);
        self.add(instruction);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0.write_u8(byte);
        }
    }
}

// `add al, 0x7f; sahf` takes the flags back from the form of `cc`, whose overflow flag is bit 0 of AL.
const _: () = assert!(cc::OF == 1 && cc::CF == flags::CF << 8);

/// Code that leaves a stub after an exception whose vector is in RAX; after one of MXCSR's, that keeps the
/// guest's MXCSR, whose flags say which it was.
pub(crate) fn leave(simd: bool) -> Vec<u8> {
    let mut out = Assembler(Encoder::new(64));
    if simd {
        out.add(&unary(Code::Stmxcsr_m32, at(Context::MXCSR)));
    }
    out.add(&unary(Code::Ldmxcsr_m32, at(Context::HOST_MXCSR)));
    if std::arch::is_x86_feature_detected!("avx") {
        out.add(&Instruction::with(Code::VEX_Vzeroupper));
    }
    out.bytes(&[0xc3]);
    out.0.take_buffer()
}
