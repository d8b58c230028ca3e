//! CMPXCHG, CMPXCHG8B and CMPXCHG16B: the accumulator is at home in another register than the host's.

use iced_x86::{Code, Instruction, OpKind, Register};

use super::probe::Place;
use super::register::{self, RAX, RCX};
use super::rewrite;
use super::writer::Label;
use super::{Cold, State, Translator};
use crate::Context;

const RSI: u8 = 6;

/// Numbers of guest registers, and the home of the accumulator.
const GUEST_RAX: u8 = 0;
const GUEST_RCX: u8 = 1;
const HOME: u8 = register::HOMES[0].expect("the accumulator has a home");

/// What is in memory, now in RAX, is not what the accumulator has: the accumulator takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Differs {
    label: Label,
    back: Label,
    take: Code,
    /// As wide as the operand.
    like: Register,
}

/// The instructions that an unlocked CMPXCHG consists of, for one width.
struct Codes {
    load: Code,
    compare: Code,
    store: Code,
    take: Code,
    /// As wide as what is loaded to.
    loaded: Register,
    /// As wide as the operand.
    like: Register,
}

impl Codes {
    fn of(bytes: u32) -> Option<Self> {
        let (load, compare, store, take, loaded, like) = match bytes {
            1 => (
                Code::Movzx_r32_rm8,
                Code::Cmp_r8_rm8,
                Code::Mov_rm8_r8,
                Code::Mov_r8_rm8,
                Register::EAX,
                Register::AL,
            ),
            2 => (
                Code::Movzx_r32_rm16,
                Code::Cmp_r16_rm16,
                Code::Mov_rm16_r16,
                Code::Mov_r16_rm16,
                Register::EAX,
                Register::AX,
            ),
            4 => (
                Code::Mov_r32_rm32,
                Code::Cmp_r32_rm32,
                Code::Mov_rm32_r32,
                Code::Mov_r32_rm32,
                Register::EAX,
                Register::EAX,
            ),
            8 => (
                Code::Mov_r64_rm64,
                Code::Cmp_r64_rm64,
                Code::Mov_rm64_r64,
                Code::Mov_r64_rm64,
                Register::RAX,
                Register::RAX,
            ),
            _ => return None,
        };
        Some(Self {
            load,
            compare,
            store,
            take,
            loaded,
            like,
        })
    }
}

impl Translator<'_> {
    pub(super) fn compare_exchange(&mut self, instruction: &Instruction) -> bool {
        let from = instruction.op1_register();
        if instruction.op0_kind() == OpKind::Memory {
            if !rewrite::is_locked(instruction) && !register::is_high(from) {
                return self.compare_and_store(instruction, from);
            }
            if register::home(from).is_none() {
                return self.compare_exchange_borrowed(instruction, from);
            }
        }
        self.with(instruction, &[(RAX, GUEST_RAX)], &[(GUEST_RAX, RAX)])
    }

    /// CMPXCHG of memory without LOCK: a comparison, and a store where it finds no difference. What is loaded next waits
    /// for no more than that store's value then, where the host's CMPXCHG has it wait for what it compares, too.
    fn compare_and_store(&mut self, instruction: &Instruction, from: Register) -> bool {
        let Some((_, bytes)) = rewrite::memory_operand(instruction) else {
            return false;
        };
        let (Some(codes), Some(Some(place))) = (Codes::of(bytes), self.memory(instruction)) else {
            return false;
        };
        let pair = |code, to, with| Instruction::with2(code, to, with).expect("operands of a move");
        self.mark(false);
        let load = Instruction::with2(codes.load, codes.loaded, place.operand());
        self.out.add(&load.expect("operands of a load"));
        let [accumulator, found] = [HOME, RAX].map(|host| register::part(host, codes.like));
        self.out.add(&pair(codes.compare, accumulator, found));
        let differs = Differs {
            label: self.out.label(),
            back: self.out.label(),
            take: codes.take,
            like: codes.like,
        };
        self.out.jump_if(5, differs.label);
        let host = register::home(from).unwrap_or_else(|| {
            self.load_guest(RAX, register::number(from));
            RAX
        });
        let store = Instruction::with2(
            codes.store,
            place.operand(),
            register::part(host, codes.like),
        );
        self.out.add(&store.expect("operands of a store"));
        self.out.bind(differs.back);
        self.cold.push(Cold::Differs(differs));
        self.state = State::Host;
        true
    }

    pub(super) fn write_differs(&mut self, differs: Differs) {
        self.out.bind(differs.label);
        let [accumulator, found] = [HOME, RAX].map(|host| register::part(host, differs.like));
        let take = Instruction::with2(differs.take, accumulator, found);
        self.out.add(&take.expect("operands of a move"));
        self.out.jump(differs.back);
    }

    /// CMPXCHG of memory and a register that lives in the context, which goes to RSI meanwhile.
    fn compare_exchange_borrowed(&mut self, instruction: &Instruction, from: Register) -> bool {
        let bytes = instruction.memory_size().size() as u32;
        self.save_flags();
        let Some(place) = self.operand(instruction, bytes, true) else {
            return false;
        };
        let place = self.whole(place, bytes);
        self.out.store(Context::TEMPORARY, RSI);
        self.load_guest(RSI, register::number(from));
        self.load_guest(RAX, GUEST_RAX);
        let mut body = *instruction;
        rewrite::set_memory(&mut body, place);
        body.set_op1_register(register::part(RSI, from));
        self.out.add(&body);
        self.out.load(RSI, Context::TEMPORARY);
        self.store_guest(GUEST_RAX, RAX);
        self.state = State::Host;
        true
    }

    /// CMPXCHG8B and CMPXCHG16B need four registers of their own: the address goes to RSI meanwhile.
    pub(super) fn compare_exchange_pair(&mut self, instruction: &Instruction) -> bool {
        let bytes = instruction.memory_size().size() as u32;
        if !self.source.wide {
            return false;
        }
        self.save_flags();
        let Some(place) = self.operand(instruction, bytes, true) else {
            return false;
        };
        // The instruction itself must not fault any more.
        let place = self.whole(place, bytes);
        self.restore_flags();
        self.out.store(Context::TEMPORARY, RSI);
        self.out.copy(RSI, place.base);
        self.load_guest(RAX, GUEST_RAX);
        self.load_guest(RCX, GUEST_RCX);
        let mut body = *instruction;
        rewrite::set_memory(
            &mut body,
            Place {
                base: RSI,
                index: None,
                displacement: 0,
            },
        );
        self.out.add(&body);
        self.out.load(RSI, Context::TEMPORARY);
        self.store_guest(GUEST_RAX, RAX);
        self.state = State::Host;
        true
    }
}
