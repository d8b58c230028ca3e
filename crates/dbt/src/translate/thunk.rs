//! Code around blocks: ways in and out, made once for a vCPU.

use std::mem::offset_of;

use iced_x86::{Code, Instruction, Register};

use super::gate::{self, Ways};
use super::register::{HOMES, RAX, RCX, RDX, RSP};
use super::returns;
use super::string::{self, Routines};
use super::tsc;
use super::writer::{Slot, Writer};
use crate::Context;
use crate::tlb::{Entry, site, stack};

/// The number of the exit that the host's exceptions take.
pub(crate) const FAULT: u32 = u32::MAX;
/// The number of the exit that [`Thunks::land`] takes.
pub(crate) const LANDED: u32 = u32::MAX - 1;
/// The number of the exit for an address that the jump table does not have.
pub(crate) const SOUGHT: u32 = u32::MAX - 2;

/// Offsets of the thunks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Thunks {
    /// Jumped to, with the address to come back to on the stack: loads the guest's state and goes to
    /// [`Context::TARGET`].
    pub(crate) enter: u32,
    /// The same, and loads the vector registers.
    pub(crate) enter_vectors: u32,
    /// Saves the guest's state, all but the flags, and comes back from `enter`; ECX is the exit.
    pub(crate) leave: u32,
    /// Where exceptions go on: RAX has the vector, RCX the address.
    pub(crate) fault: u32,
    /// Stands in for a block: leaves at once.
    pub(crate) land: u32,
    /// Called: loads the vector registers; changes RAX and RCX.
    pub(crate) load_vectors: u32,
    /// See [`returns::write`].
    pub(crate) unwind: u32,
    pub(crate) outermost: u32,
    /// Called: see [`find_stack`].
    pub(crate) find_stack: [u32; 2],
    /// Called: see [`find_site`].
    pub(crate) find_site: [[u32; 4]; 2],
    /// Called for repeated string instructions.
    pub(crate) strings: Routines,
    /// Behind SYSCALL, SYSRET and IRET.
    pub(crate) ways: Ways,
    /// See [`tsc::write`].
    pub(crate) read_tsc: u32,
}

const CALLEE_SAVED: [Register; 6] = [
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

/// Writes the thunks for a context.
pub(crate) fn write(base: u64, context: u64) -> (Vec<u8>, Thunks) {
    let mut out = Writer::new(base, context);
    let mut thunks = Thunks::default();

    let load_vectors = out.label();
    thunks.enter = out.len();
    enter(&mut out);
    out.jump_context(Context::TARGET);
    out.align();
    thunks.enter_vectors = out.len();
    enter(&mut out);
    out.call_label(load_vectors);
    out.jump_context(Context::TARGET);

    out.align();
    thunks.leave = out.len();
    out.store32(Context::EXIT, RCX);
    out.store(Context::RETURNS, RSP);
    out.load(RSP, Context::HOST_STACK);
    for (guest, home) in HOMES.iter().enumerate() {
        if let Some(home) = home {
            out.store(guest as i64 * 8, *home);
        }
    }
    let (save, back) = (out.label(), out.label());
    out.is_zero32(Context::VECTORS_AWAY);
    out.jump_if(4, save);
    out.bind(back);
    for register in CALLEE_SAVED.iter().rev() {
        out.add(&Instruction::with1(Code::Pop_r64, *register).expect("operand of POP"));
    }
    out.bytes(&[0x59, 0xff, 0xe1]); // pop rcx; jmp rcx

    out.align();
    thunks.fault = out.len();
    out.store(Context::FAULT_AT, RCX);
    out.store(Context::FAULT_VECTOR, RAX);
    out.bytes(&[0x9f, 0x0f, 0x90, 0xc0, 0x0f, 0xb7, 0xc0]); // lahf; seto al; movzx eax, ax
    out.store(Context::FAULT_CC, RAX);
    out.constant(RCX, u64::from(FAULT));
    let leave = base + u64::from(thunks.leave);
    out.jump_to(leave);

    out.align();
    thunks.land = out.len();
    out.constant(RCX, u64::from(LANDED));
    out.jump_to(leave);

    (thunks.unwind, thunks.outermost) = returns::write(&mut out, leave);

    out.align();
    out.bind(save);
    vectors_to_context(&mut out);
    out.jump(back);

    out.align();
    thunks.load_vectors = out.len();
    out.bind(load_vectors);
    vectors_from_context(&mut out);
    thunks.find_stack = [false, true].map(|write| find_stack(&mut out, write));
    thunks.find_site =
        [false, true].map(|write| stack::SIZES.map(|size| find_site(&mut out, write, size)));
    thunks.strings = string::write(&mut out);
    thunks.ways = gate::write(&mut out, leave);
    thunks.read_tsc = tsc::write(&mut out);
    (out.finish(), thunks)
}

/// Saves what the C ABI asks for and loads the guest's state, and the stack that belongs to the jump table.
fn enter(out: &mut Writer) {
    for register in CALLEE_SAVED {
        out.add(&Instruction::with1(Code::Push_r64, register).expect("operand of PUSH"));
    }
    out.store(Context::HOST_STACK, RSP);
    out.load(RSP, Context::RETURNS);
    for (guest, home) in HOMES.iter().enumerate() {
        if let Some(home) = home {
            out.load(*home, guest as i64 * 8);
        }
    }
    out.restore_flags();
}

/// Writes code that copies the entry for an address into the stack's entry, if there is one. RCX is what a probe of that
/// entry has made of the address before, and of the new one afterwards. Changes RAX and the flags.
fn find_stack(out: &mut Writer, write: bool) -> u32 {
    const STORE: u8 = 0x89;
    out.align();
    let at = out.len();
    let (missed, far, often) = (out.label(), out.label(), out.label());
    out.bytes(&[0x48, 0x8d, 0x81]); // lea rax, [rcx + near]
    out.bytes(&stack::NEAR.to_le_bytes());
    out.stack_entry(0x03, RCX, write, stack::START); // add rcx, start
    out.bytes(&[0x48, 0x3d]); // cmp rax, ...
    out.bytes(&(2 * stack::NEAR + 4096).to_le_bytes());
    out.jump_if(3, far);
    out.count_down32(Context::WANDERED);
    out.jump_if(8, often);
    out.bind(far);
    out.probe(Slot::Dynamic, 1, write, missed);
    out.push(RCX);
    out.load_entry(RCX, write, offset_of!(Entry, tag));
    out.stack_entry(STORE, RCX, write, stack::START);
    out.load_entry(RCX, write, offset_of!(Entry, host));
    out.stack_entry(STORE, RCX, write, stack::HOST);
    out.stack_entry(0x2b, RCX, write, stack::START); // sub rcx, start
    out.stack_entry(STORE, RCX, write, stack::DELTA);
    for (number, size) in stack::SIZES.into_iter().enumerate() {
        out.constant(RCX, u64::from(stack::limit(size)));
        out.stack_entry(STORE, RCX, write, stack::LIMITS + 8 * number);
    }
    out.bytes(&[0x59]); // pop rcx
    out.bind(missed);
    out.bytes(&[0xc3]);
    out.bind(often);
    out.constant(RAX, stack::place(write).into());
    wandered(out);
    out.bytes(&[0xc3]);
    at
}

/// Notes that the access at RCX, by the copy of an entry at the place in RAX, is to be looked at; RCX is what no range has
/// then.
fn wandered(out: &mut Writer) {
    out.store(Context::WANDERED_TO, RCX);
    out.store32(Context::WANDERED_SITE, RAX);
    out.constant(RCX, u64::MAX);
}

/// Writes code that copies the entry for an address into an instruction's entry, whose place RAX has, if there is one. RCX
/// is what a probe of that entry has made of the address before, and of the new one afterwards. Changes RAX and the flags.
fn find_site(out: &mut Writer, write: bool, size: u32) -> u32 {
    const STORE: u8 = 0x89;
    out.align();
    let at = out.len();
    let (missed, fresh, often) = (out.label(), out.label(), out.label());
    out.word_at(0x03, RCX, RAX, site::START); // add rcx, start
    out.push(RAX);
    out.probe(Slot::Dynamic, 1, write, missed);
    out.push(RDX);
    out.bytes(&[0x48, 0x8b, 0x54, 0x24, 8]); // mov rdx, [rsp + 8]
    // cmp qword ptr gs:[rdx + limit], 0
    out.bytes(&[0x65, 0x48, 0x83, 0xba]);
    out.bytes(&(site::LIMIT as u32).to_le_bytes());
    out.bytes(&[0]);
    out.jump_if(4, fresh);
    out.count_down32(Context::WANDERED);
    out.jump_if(8, often);
    out.bind(fresh);
    out.push(RCX);
    out.load_entry(RCX, write, offset_of!(Entry, tag));
    out.word_at(STORE, RCX, RDX, site::START);
    out.bytes(&[0xc1, 0xe9, 12, 0x81, 0xe1]); // shr ecx, 12; and ecx, ...
    out.bytes(&site::KIND.to_le_bytes());
    out.bytes(&[0x65, 0xc6, 0x81]); // mov byte ptr gs:[rcx + ...], 1
    out.bytes(&(site::COPIED as u32).to_le_bytes());
    out.bytes(&[1]);
    out.load_entry(RCX, write, offset_of!(Entry, host));
    out.word_at(STORE, RCX, RDX, site::HOST);
    let known = out.label();
    // cmp qword ptr gs:[rdx + limit], 0
    out.bytes(&[0x65, 0x48, 0x83, 0xba]);
    out.bytes(&(site::LIMIT as u32).to_le_bytes());
    out.bytes(&[0]);
    out.jump_if(5, known);
    out.word(0x8b, RCX, site::USED_COUNT as u32);
    // mov gs:[rcx * 4 + used], edx
    out.bytes(&[0x65, 0x89, 0x14, 0x8d]);
    out.bytes(&(site::USED as u32).to_le_bytes());
    // inc qword ptr gs:[count]
    out.bytes(&[0x65, 0x48, 0xff, 0x04, 0x25]);
    out.bytes(&(site::USED_COUNT as u32).to_le_bytes());
    out.bind(known);
    out.constant(RCX, u64::from(stack::limit(size)));
    out.word_at(STORE, RCX, RDX, site::LIMIT);
    out.bytes(&[0x59, 0x5a]); // pop rcx; pop rdx
    out.bind(missed);
    out.bytes(&[0x58, 0xc3]); // pop rax; ret
    out.bind(often);
    out.entry_tag(write); // xor rcx, tag
    out.bytes(&[0x5a, 0x58]); // pop rdx; pop rax
    wandered(out);
    out.bytes(&[0xc3]);
    at
}

fn has_avx() -> bool {
    std::arch::is_x86_feature_detected!("avx")
}

fn xmm(number: usize) -> Register {
    Register::XMM0 + number as u32
}

fn ymm(number: usize) -> Register {
    Register::YMM0 + number as u32
}

fn memory(out: &mut Writer, code: Code, register: Register, offset: i64, store: bool) {
    let operand = out.in_context(offset);
    let instruction = if store {
        Instruction::with2(code, operand, register)
    } else {
        Instruction::with2(code, register, operand)
    };
    out.add(&instruction.expect("operands of a vector move"));
}

fn unary(out: &mut Writer, code: Code, offset: i64) {
    let operand = out.in_context(offset);
    out.add(&Instruction::with1(code, operand).expect("operand of MXCSR's moves"));
}

fn vectors_to_context(out: &mut Writer) {
    for number in 0..16 {
        let offset = Context::YMM + 32 * number as i64;
        if has_avx() {
            memory(
                out,
                Code::VEX_Vmovdqu_ymmm256_ymm,
                ymm(number),
                offset,
                true,
            );
        } else {
            memory(out, Code::Movups_xmmm128_xmm, xmm(number), offset, true);
        }
    }
    if has_avx() {
        out.add(&Instruction::with(Code::VEX_Vzeroupper));
    }
    unary(out, Code::Stmxcsr_m32, Context::MXCSR);
    unary(out, Code::Ldmxcsr_m32, Context::HOST_MXCSR);
    out.set32(Context::VECTORS_AWAY, 1);
}

/// Halves that are all zero are not loaded as such: processors run legacy SSE instructions slower once the upper
/// halves have been written.
fn vectors_from_context(out: &mut Writer) {
    unary(out, Code::Ldmxcsr_m32, Context::MXCSR);
    out.clear32(Context::VECTORS_AWAY);
    let legacy = out.label();
    if has_avx() {
        out.bytes(&[0x9f, 0x0f, 0x90, 0xc0]); // lahf; seto al
        memory(
            out,
            Code::Movups_xmm_xmmm128,
            xmm(0),
            Context::YMM + 16,
            false,
        );
        for number in 1..16 {
            let offset = Context::YMM + 32 * number + 16;
            memory(out, Code::Por_xmm_xmmm128, xmm(0), offset, false);
        }
        let test = Instruction::with2(Code::Ptest_xmm_xmmm128, Register::XMM0, Register::XMM0);
        out.add(&test.expect("operands of PTEST"));
        out.bytes(&[0x0f, 0x94, 0xc1, 0x0f, 0xb6, 0xc9]); // sete cl; movzx ecx, cl
        out.bytes(&[0x04, 0x7f, 0x9e]); // add al, 0x7f; sahf
        out.bytes(&[0xe3, 0x05]); // jrcxz +5
        out.jump(legacy);
        for number in 0..16 {
            let offset = Context::YMM + 32 * number as i64;
            memory(
                out,
                Code::VEX_Vmovdqu_ymm_ymmm256,
                ymm(number),
                offset,
                false,
            );
        }
        out.bytes(&[0xc3]);
    }
    out.bind(legacy);
    for number in 0..16 {
        let offset = Context::YMM + 32 * number as i64;
        memory(out, Code::Movups_xmm_xmmm128, xmm(number), offset, false);
    }
    out.bytes(&[0xc3]);
}
