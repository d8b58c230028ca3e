//! IRET of 64-bit code to users, and to code of the same privilege.
//!
//! It is made once for a vCPU, and jumped to by the instruction with an address in RAX: that of the code which leaves the
//! instruction to others. Until all is looked at nothing changes.

use super::gate::{self, SIMPLE};
use super::register::{RAX, RCX, STACK};
use super::writer::{Label, Slot, Writer};
use crate::Context;
use crate::gate::OUT;
use x86::flags;

/// What is loaded here. RF ends with the instruction that is returned to, when there are no breakpoints.
const LOADED: u64 = SIMPLE | flags::RF;

/// Bytes of the frame, and where in it what is.
const FRAME: u32 = 40;
const IP: u8 = 0;
const CS: u8 = 8;
const FLAGS: u8 = 16;
const SP: u8 = 24;
const SS: u8 = 32;

/// The frame's address while others are probed.
const HELD: i64 = Context::RANGES;

/// Writes it; its offset.
pub(super) fn write(out: &mut Writer, leave: u64) -> u32 {
    out.align();
    let start = out.len();
    let (slow, outwards) = (out.label(), out.label());
    out.store(Context::TEMPORARY, RAX);
    out.is_zero32(Context::IRET_OPEN);
    out.jump_if(4, slow);
    out.test_context32(Context::SYSTEM_FLAGS, flags::NT as u32);
    out.jump_if(5, slow);
    // What lies in system tables is read with AC clear.
    out.is_zero32(Context::ALIGNMENT);
    out.jump_if(5, slow);
    out.copy(RCX, STACK);
    out.probe(Slot::Dynamic, FRAME, false, slow);
    out.add_host(Slot::Dynamic, false);
    out.store(HELD, RCX);

    out.bytes(&[0x8b, 0x41, FLAGS]); // mov eax, [rcx + FLAGS]
    gate::look_at_flags(out, LOADED, slow);
    look_at_address(out, slow);
    out.bytes(&[0x0f, 0xb7, 0x41, CS]); // movzx eax, word ptr [rcx + CS]
    out.compare_context32(RAX, Context::OUTER + Context::CODE_SELECTOR);
    out.jump_if(4, outwards);
    out.compare_context32(RAX, Context::INNER + Context::CODE_SELECTOR);
    out.jump_if(5, slow);
    look_at_segments(out, Context::INNER, slow);
    load_frame(out);
    gate::go(out, leave);

    out.bind(outwards);
    out.is_zero32(Context::IRET_OUTWARDS);
    out.jump_if(4, slow);
    look_at_segments(out, Context::OUTER, slow);
    load_frame(out);
    out.load(RAX, Context::USER_TABLE);
    gate::pass(out, [Context::SUPERVISOR, Context::USER], OUT, leave);

    out.bind(slow);
    out.jump_context(Context::TEMPORARY);
    start
}

/// The frame's RIP must be canonical. Changes RAX.
fn look_at_address(out: &mut Writer, slow: Label) {
    out.bytes(&[0x48, 0x8b, 0x41, IP]); // mov rax, [rcx + IP]
    out.bytes(&[0x48, 0xc1, 0xe0, 16]); // shl rax, 16
    out.bytes(&[0x48, 0xc1, 0xf8, 16]); // sar rax, 16
    out.bytes(&[0x48, 0x3b, 0x41, IP]); // cmp rax, [rcx + IP]
    out.jump_if(5, slow);
}

/// The frame's SS must be the one that belongs to its CS, and their descriptors the ones that they stand for. Changes RAX
/// and RCX.
fn look_at_segments(out: &mut Writer, segments: i64, slow: Label) {
    out.bytes(&[0x0f, 0xb7, 0x41, SS]); // movzx eax, word ptr [rcx + SS]
    out.compare_context32(RAX, segments + Context::STACK_SELECTOR);
    out.jump_if(5, slow);
    out.load(RCX, segments + Context::SEGMENTS_AT);
    out.probe(Slot::Dynamic, 16, false, slow);
    out.add_host(Slot::Dynamic, false);
    for at in [0, 8] {
        out.load(RAX, segments + Context::DESCRIPTORS + i64::from(at));
        out.bytes(&[0x48, 0x3b, 0x41, at]); // cmp rax, [rcx + at]
        out.jump_if(5, slow);
    }
}

/// Loads the flags and RSP, and RIP into RCX. As all instructions that serialize it has stores done first.
fn load_frame(out: &mut Writer) {
    out.bytes(&[0xf0, 0x83, 0x4c, 0x24, 0xf8, 0]); // lock or dword ptr [rsp - 8], 0
    out.load(RCX, HELD);
    out.bytes(&[0x4c | STACK >> 3 << 2, 0x8b, 0x41 | (STACK & 7) << 3, SP]); // mov r11, [rcx + SP]
    out.bytes(&[0x48, 0x8b, 0x41, IP]); // mov rax, [rcx + IP]
    out.store(Context::SOUGHT, RAX);
    out.bytes(&[0x8b, 0x49, FLAGS]); // mov ecx, [rcx + FLAGS]
    gate::load_flags(out);
    out.load(RCX, Context::SOUGHT);
}
