//! PUSH, POP and LEAVE, and the stack's part in CALL and RET.

use iced_x86::{Code, FlowControl, Instruction, MemoryOperand, Mnemonic, OpKind, Register};

use super::probe::{Address, Place};
use super::register::{self, RAX, RCX, STACK};
use super::{Translator, deferred};
use crate::Context;

const GUEST_RSP: u8 = 4;
const GUEST_RBP: u8 = 5;
const RBP: u8 = 5;

impl Translator<'_> {
    /// Bytes of the stack slot of the present instruction.
    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// SP, not ESP or RSP, points at the stack.
    fn has_small_stack(&self) -> bool {
        self.source.segmented.is_some_and(|code| !code.big_stack)
    }

    /// Translates an instruction that uses the stack; false when it is none, or can't be done here.
    pub(super) fn stack(&mut self, instruction: &Instruction) -> bool {
        let usual = instruction.stack_pointer_increment().unsigned_abs() == self.slot()
            && matches!(self.slot(), 2 | 4 | 8);
        match instruction.mnemonic() {
            Mnemonic::Push if usual => self.push_instruction(instruction),
            Mnemonic::Pop if usual => self.pop_instruction(instruction),
            Mnemonic::Leave if self.source.segmented.is_some() => false,
            Mnemonic::Leave if instruction.code() == Code::Leaveq || !self.source.wide => {
                instruction.code() != Code::Leavew && self.leave_frame()
            }
            _ => false,
        }
    }

    fn push_instruction(&mut self, instruction: &Instruction) -> bool {
        let kind = instruction.op0_kind();
        match kind {
            OpKind::Register => {
                let register = instruction.op0_register();
                if !register.is_gpr() {
                    return false;
                }
                let Some(place) = self.push_place() else {
                    return false;
                };
                let from = match register::home(register) {
                    Some(home) => home,
                    None => {
                        self.load_guest(RAX, register::number(register));
                        RAX
                    }
                };
                self.store_slot(place, from);
            }
            OpKind::Memory => {
                let slot = self.slot();
                self.yield_flags();
                let Some(place) = self.operand(instruction, slot, false) else {
                    return false;
                };
                self.load_slot(RAX, place);
                // The value is kept while the stack is probed.
                self.out.store(Context::TEMPORARY, RAX);
                return self.push_temporary();
            }
            _ => {
                let value = match self.source.guests[self.op].inside {
                    // It was a CALL.
                    true => self.address(instruction.next_ip()),
                    false => instruction.immediate(0),
                };
                let Some(place) = self.push_place() else {
                    return false;
                };
                let value = if self.source.wide {
                    value
                } else {
                    value & 0xffff_ffff
                };
                self.out.constant(RAX, value);
                self.store_slot(place, RAX);
            }
        }
        self.move_stack_later(-(self.slot() as i32));
        if self.source.guests[self.op].inside {
            self.note_call(self.address(instruction.next_ip()));
        }
        true
    }

    /// Puts what [`Context::TEMPORARY`] holds on the stack.
    pub(super) fn push_temporary(&mut self) -> bool {
        let Some(place) = self.push_place() else {
            return false;
        };
        self.out.load(RAX, Context::TEMPORARY);
        self.store_slot(place, RAX);
        self.move_stack(-(self.slot() as i32));
        true
    }

    fn pop_instruction(&mut self, instruction: &Instruction) -> bool {
        let register = instruction.op0_register();
        if instruction.op0_kind() != OpKind::Register || !register.is_gpr() {
            return false;
        }
        let Some(place) = self.pop_place() else {
            return false;
        };
        let number = register::number(register);
        if number == GUEST_RSP && self.source.segmented.is_some() {
            return false;
        }
        match register::home(register) {
            Some(home) if number != GUEST_RSP => {
                self.load_slot(home, place);
                self.move_stack_later(self.slot() as i32);
            }
            _ => {
                self.load_slot(RAX, place);
                self.move_stack_later(self.slot() as i32);
                self.store_guest(number, RAX);
                if number == GUEST_RSP {
                    self.forget_stack();
                }
            }
        }
        true
    }

    fn leave_frame(&mut self) -> bool {
        self.save_flags();
        let address = if self.source.wide {
            Address::In(RBP)
        } else {
            self.narrow_address(RBP, 0)
        };
        let slot = self.slot();
        let Some(place) = self.probe(address, slot, false) else {
            return false;
        };
        self.load_slot(RAX, place);
        self.load_guest(RCX, GUEST_RBP);
        self.store_guest(GUEST_RSP, RCX);
        self.forget_stack();
        self.move_stack(slot as i32);
        self.store_guest(GUEST_RBP, RAX);
        true
    }

    /// Puts a constant on the stack.
    pub(super) fn push_constant(&mut self, value: u64) -> bool {
        let Some(place) = self.push_place() else {
            return false;
        };
        self.out.constant(RAX, value);
        self.store_slot(place, RAX);
        self.move_stack(-(self.slot() as i32));
        true
    }

    /// The probed slot below the top of the stack.
    pub(super) fn push_place(&mut self) -> Option<Place> {
        let slot = self.slot();
        let below = -i64::from(slot);
        if self.in_region() {
            return self.region_place();
        }
        if let Some(place) = self.known_slot(below, slot, true) {
            return Some(place);
        }
        self.yield_flags();
        let address = if self.source.wide {
            Address::Stack(below)
        } else {
            self.stack_address(below, slot, true)
        };
        self.probe(address, slot, true)
    }

    /// The probed slot on the top of the stack.
    pub(super) fn pop_place(&mut self) -> Option<Place> {
        if self.in_region() {
            return self.region_place();
        }
        let slot = self.slot();
        if let Some(place) = self.known_slot(0, slot, false) {
            return Some(place);
        }
        self.yield_flags();
        let address = if self.source.wide {
            Address::Stack(0)
        } else {
            self.stack_address(0, slot, false)
        };
        self.probe(address, slot, false)
    }

    fn known_slot(&mut self, displacement: i64, bytes: u32, write: bool) -> Option<Place> {
        match self.source.wide {
            true => self.known_stack(displacement, bytes, write),
            false => None,
        }
    }

    /// The linear address of a slot of the stack outside 64-bit mode.
    fn stack_address(&mut self, displacement: i64, bytes: u32, write: bool) -> Address {
        let address = self.narrow_address(STACK, displacement);
        if self.source.segmented.is_none() {
            return address;
        }
        if self.has_small_stack() {
            self.out.bytes(&[0x0f, 0xb7, 0xc9]); // movzx ecx, cx
        }
        self.in_segment(Register::SS.number(), bytes, write)
    }

    fn narrow_address(&mut self, base: u8, displacement: i64) -> Address {
        let operand = MemoryOperand::with_base_displ(register::wide(base), displacement);
        let lea = Instruction::with2(Code::Lea_r32_m, Register::ECX, operand);
        self.out.add(&lea.expect("operands of LEA"));
        Address::In(RCX)
    }

    pub(super) fn load_slot(&mut self, to: u8, place: Place) {
        let (code, like) = match self.slot {
            8 => (Code::Mov_r64_rm64, Register::RAX),
            2 if to == RCX => (Code::Movzx_r32_rm16, Register::EAX),
            2 => (Code::Mov_r16_rm16, Register::AX),
            _ => (Code::Mov_r32_rm32, Register::EAX),
        };
        self.mark(false);
        let load = Instruction::with2(code, register::part(to, like), place.operand());
        self.out.add(&load.expect("operands of MOV"));
    }

    pub(super) fn store_slot(&mut self, place: Place, from: u8) {
        let (code, like) = match self.slot {
            8 => (Code::Mov_rm64_r64, Register::RAX),
            2 => (Code::Mov_rm16_r16, Register::AX),
            _ => (Code::Mov_rm32_r32, Register::EAX),
        };
        self.mark(false);
        let store = Instruction::with2(code, place.operand(), register::part(from, like));
        self.out.add(&store.expect("operands of MOV"));
    }

    /// Adds to the guest's stack pointer what PUSH or POP does. In a run, where accesses do not look at it, that of
    /// several is added at once.
    fn move_stack_later(&mut self, by: i32) {
        if self.in_region() {
            self.stack_moves += by;
        } else {
            self.move_stack(by);
        }
    }

    /// Makes the stack pointer what the guest's is, before an instruction that may look at it.
    pub(super) fn settle_stack_for(&mut self, instruction: &Instruction) {
        if self.stack_moves == 0 {
            return;
        }
        let slot = matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Pop)
            && (0..instruction.op_count())
                .all(|operand| instruction.op_register(operand) != Register::RSP);
        let looks = instruction.flow_control() != FlowControl::Next
            || deferred::may_fault(instruction)
            || !slot && self.uses[self.op].named >> GUEST_RSP & 1 != 0;
        if looks || !self.in_region() {
            self.settle_stack();
        }
    }

    /// Makes the stack pointer what the guest's is.
    pub(super) fn settle_stack(&mut self) {
        let by = std::mem::take(&mut self.stack_moves);
        if by != 0 {
            self.move_stack(by);
        }
    }

    /// Adds to the guest's stack pointer; changes no flags.
    pub(super) fn move_stack(&mut self, by: i32) {
        let operand = MemoryOperand::with_base_displ(register::wide(STACK), i64::from(by));
        let (code, like) = match () {
            () if self.source.wide => (Code::Lea_r64_m, Register::RAX),
            () if self.has_small_stack() => (Code::Lea_r16_m, Register::AX),
            () => (Code::Lea_r32_m, Register::EAX),
        };
        let lea = Instruction::with2(code, register::part(STACK, like), operand);
        self.out.add(&lea.expect("operands of LEA"));
        self.stack_moved(by.into());
    }
}

/// Bytes of what an instruction of segmented code pushes or pops.
pub(super) fn slot_of(instruction: &Instruction) -> u32 {
    let extra = match instruction.mnemonic() {
        Mnemonic::Ret if instruction.op_count() > 0 => i32::from(instruction.immediate16()),
        _ => 0,
    };
    (instruction.stack_pointer_increment() - extra).unsigned_abs()
}
