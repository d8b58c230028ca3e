//! Ways out of a block: direct ones are linked to the next block once that is known; indirect ones look into the jump
//! table, or are linked to where they led once ([`super::guess`]). Whatever may close a loop looks whether the vCPU is
//! wanted.

use iced_x86::{Code, Instruction, MemoryOperand, Mnemonic, OpKind, Register};

use super::exchange::Exchange;
use super::guess::Guess;
use super::register::{self, RAX, RCX};
use super::writer::Label;
use super::{Cold, State, Translator, flags};
use crate::cache::may_cross;
use crate::{Context, jump};

/// A way out, to be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// Offset of the jump's 32-bit displacement.
    pub(crate) at: u32,
    /// Offset of the code that it leads to while it is not linked.
    pub(crate) stub: u32,
    /// Where the flags are.
    pub(crate) state: State,
    /// Where the link is good in one address space only: what else is to be patched.
    pub(crate) far: Option<Far>,
    /// Where it is an indirect branch's, good for one target.
    pub(crate) guess: Option<Guess>,
    /// Where it does not lead to all blocks in the same way.
    pub(crate) detour: Option<Detour>,
    /// It is no branch: a run of instructions is left to others, whose first and last numbers are the target's low and
    /// high half.
    pub(crate) run: bool,
    /// It is a way out of the middle of a block that lies in several places; the target is the number of the instruction.
    pub(crate) inside: Option<Inside>,
}

/// Why a block is left where its next instruction lies elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// An indirect branch has led elsewhere for long.
    Stray,
    /// The address space may be another one than that whose number is at an offset.
    Space(u32),
}

/// What is beside a way out that leads to some blocks at once, and to others by way of code that does something before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Detour {
    /// Offset of that code.
    pub(crate) out: u32,
    /// Offset of the displacement of the jump behind it.
    pub(crate) at: u32,
    /// It makes the flags, in the host's register, for blocks that want them; else it moves registers back that trade places,
    /// for blocks where others do.
    pub(crate) makes_flags: bool,
}

/// A direct way out to another page that looks whether its address space is the running one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Far {
    /// Offset of the address space's number, and whether it is negated there. Zero is none's.
    pub(crate) space_at: u32,
    pub(crate) negated: bool,
    /// Offset of the displacement of the jump for other address spaces.
    pub(crate) other_at: u32,
    /// Offset of the code that looks into the jump table, which they go to while the way out is linked.
    pub(crate) look_up: u32,
}

impl Translator<'_> {
    /// Translates a branch: whether the block goes on behind it; `None` when it is none, or can't be done here.
    pub(super) fn branch(&mut self, instruction: &Instruction) -> Option<bool> {
        let wide = self.source.wide;
        let segmented = self.source.segmented.is_some();
        match instruction.code() {
            code if code.is_jcc_short_or_near() => {
                let target = self.target(instruction)?;
                self.restore_flags();
                self.go_if(instruction.condition_code() as u8 - 1, target);
                Some(true)
            }
            Code::Jmp_rel8_64
            | Code::Jmp_rel32_64
            | Code::Jmp_rel8_32
            | Code::Jmp_rel32_32
            | Code::Jmp_rel8_16
            | Code::Jmp_rel16 => {
                let target = self.target(instruction)?;
                self.go(target);
                Some(false)
            }
            Code::Call_rel32_64 | Code::Call_rel32_32 | Code::Call_rel16 => {
                let target = self.target(instruction)?;
                self.call(instruction, target)
            }
            code if code.is_loop() || code.is_jcx_short() => self.count(instruction),
            Code::Retnq if self.is_inside() => self.return_inside(),
            Code::Retnq | Code::Retnq_imm16 if wide => self.ret(instruction),
            Code::Retnd | Code::Retnd_imm16 if !wide => self.ret(instruction),
            Code::Retnw | Code::Retnw_imm16 if segmented => self.ret(instruction),
            Code::Jmp_rm64 | Code::Call_rm64 if wide => self.indirect(instruction, 8),
            Code::Jmp_rm32 | Code::Call_rm32 if !wide => self.indirect(instruction, 4),
            Code::Jmp_rm16 | Code::Call_rm16 if segmented => self.indirect(instruction, 2),
            _ => None,
        }
    }

    /// Whether the present instruction is a branch that mostly leads to the block's next.
    fn is_inside(&self) -> bool {
        self.source.guests[self.op].inside
    }

    /// Where a direct branch leads; `None` where it is refused, or means something else than it seems to.
    pub(super) fn target(&self, instruction: &Instruction) -> Option<u64> {
        let target = self.address(instruction.near_branch_target());
        let narrow = instruction.op0_kind() == OpKind::NearBranch16;
        match self.source.segmented {
            None => (!narrow).then_some(target),
            Some(code) => {
                let target = if narrow { target & 0xffff } else { target };
                (target <= code.limit).then_some(target)
            }
        }
    }

    /// LOOP, JCXZ and their like, which change no flags and look at none; LOOPE and LOOPNE are left to others.
    fn count(&mut self, instruction: &Instruction) -> Option<bool> {
        let target = self.target(instruction)?;
        let bytes = instruction.op_code().address_size() / 8;
        let home = register::home(Register::RCX)?;
        let (code, like) = match bytes {
            2 => (Code::Lea_r16_m, Register::AX),
            4 => (Code::Lea_r32_m, Register::EAX),
            _ => (Code::Lea_r64_m, Register::RAX),
        };
        if instruction.code().is_loop() {
            let operand = MemoryOperand::with_base_displ(register::wide(home), -1);
            let lea = Instruction::with2(code, register::part(home, like), operand);
            self.out.add(&lea.expect("operands of LEA"));
        }
        self.settle();
        self.out.copy(RCX, home);
        match bytes {
            2 => self.out.bytes(&[0x0f, 0xb7, 0xc9]), // movzx ecx, cx
            4 => self.out.bytes(&[0x89, 0xc9]),       // mov ecx, ecx
            _ => {}
        }
        let (zero, other) = (self.out.label(), self.out.label());
        // jrcxz +5, which leads to the second of two jumps
        self.out.bytes(&[0xe3, 0x05]);
        self.out.jump(other);
        self.out.jump(zero);
        let (taken, goes_on) = match instruction.code().is_loop() {
            true => (other, zero),
            false => (zero, other),
        };
        self.cold.push(Cold::Back {
            label: taken,
            target,
            state: self.state,
        });
        self.out.bind(goes_on);
        Some(true)
    }

    /// Whether a branch may close a loop: one that leads to a higher address than that of its block does not, since each
    /// loop has one that does not.
    pub(super) fn is_backwards(&self, target: u64) -> bool {
        target <= self.source.linear
    }

    /// Whether the block behind a direct branch may be linked for good.
    pub(super) fn is_linkable(&self, target: u64) -> bool {
        let far = |(first, last)| (first..=last).contains(&target);
        let base = self.source.segmented.map_or(0, |code| code.base);
        let page = |rip: u64| rip.wrapping_add(base) >> 12;
        let near =
            page(target) == page(self.source.linear) && !may_cross(target.wrapping_add(base));
        near || self.source.far.is_some_and(far)
    }

    /// Goes on at a known address.
    pub(super) fn go(&mut self, target: u64) {
        let polls = self.is_backwards(target) || self.leaves_page(target);
        if self.is_late() && self.is_linkable(target) && (self.polled || !polls) {
            return self.link(target, State::Deferred);
        }
        self.settle();
        if !self.is_linkable(target) {
            return self.far(target, None);
        }
        if polls {
            self.back(target, self.state);
        } else {
            self.link(target, self.state);
        }
    }

    /// Whether a branch leads to another page: code without loops may be long.
    fn leaves_page(&self, target: u64) -> bool {
        target >> 12 != self.source.linear >> 12
    }

    fn go_if(&mut self, condition: u8, target: u64) {
        if self.fork(condition) || self.leave_early(condition, target) {
            return;
        }
        let label = self.out.label();
        let state = self.state;
        let again = target == self.source.linear && self.stream.is_some();
        if !self.is_linkable(target) || again {
            self.out.jump_if(condition, label);
            self.cold.push(Cold::Back {
                label,
                target,
                state,
            });
        } else if self.is_backwards(target) && !self.polled {
            self.out.jump_if(condition ^ 1, label);
            self.back(target, state);
            self.out.bind(label);
        } else {
            self.out.jump_if(condition, label);
            let at = self.out.len() - 4;
            self.leave_later(label, target, at, state);
        }
    }

    fn leave_later(&mut self, label: Label, target: u64, at: u32, state: State) {
        if state == State::Nowhere {
            self.misjudge(flags::Wanted::Saved);
        }
        let redo = self.redo.filter(|_| state == State::Deferred);
        debug_assert!(
            state != State::Deferred || redo.is_some(),
            "nobody could make them again"
        );
        self.cold.push(Cold::Leave {
            label,
            target,
            redo,
            link: Link {
                at,
                stub: 0,
                state,
                far: None,
                guess: None,
                detour: None,
                run: false,
                inside: None,
            },
            state,
        });
    }

    /// A jump that can be linked.
    fn link(&mut self, target: u64, state: State) {
        let label = self.out.label();
        self.out.jump(label);
        self.leave_later(label, target, self.out.len() - 4, state);
    }

    /// A jump that may close a loop.
    pub(super) fn back(&mut self, target: u64, state: State) {
        self.state = state;
        if !self.is_linkable(target) {
            return self.far(target, None);
        }
        if target == self.source.linear && self.stream.is_some() && !self.streamed {
            self.streamed = true;
            return self.write_stream(state);
        }
        if self.polled {
            return self.link(target, state);
        }
        let label = self.out.label();
        // By way of the link, registers might be moved back, and the loop go on.
        let wanted = match self.plan.exchange == Exchange::NONE {
            true => label,
            false => self.wanted(target, state),
        };
        if state.is_saved() {
            self.out.is_zero32(Context::ATTENTION);
            self.out.jump_if(4, label);
            let at = self.out.len() - 4;
            self.out.jump(wanted);
            return self.leave_later(label, target, at, State::Saved);
        }
        self.out.load32(RCX, Context::CALLS);
        // jrcxz +5, which is not taken as long as nobody wants the vCPU
        self.out.bytes(&[0xe3, 0x05]);
        self.out.jump(label);
        let at = self.out.len() - 4;
        self.out.jump(wanted);
        self.leave_later(label, target, at, state);
    }

    /// Where code is left at a branch since the vCPU is wanted.
    pub(super) fn wanted(&mut self, target: u64, state: State) -> Label {
        let label = self.out.label();
        self.cold.push(Cold::Leave {
            label,
            target,
            redo: None,
            link: Link::never(),
            state,
        });
        label
    }

    /// A CALL that can be linked; `back` is the code behind it.
    pub(super) fn link_call(&mut self, target: u64, back: Label) {
        if !self.is_linkable(target) {
            return self.far(target, Some(back));
        }
        let label = self.out.label();
        self.out.call_label(label);
        self.leave_later(label, target, self.out.len() - 4, self.state);
    }

    /// A jump to another page, whose link is good in one address space; a CALL when there is code to come `back` to.
    fn far(&mut self, target: u64, back: Option<Label>) {
        self.exchange();
        // The comparison of address spaces leaves nothing of the host's flags.
        let state = match self.state {
            State::Both => State::Saved,
            state => state,
        };
        let label = self.out.label();
        let polls = back.is_none() && !self.polled;
        let (space_at, other_at);
        if state.is_saved() {
            if polls {
                self.look_up_attention(label);
            }
            space_at = self.out.is_equal32(Context::SPACE, 0);
            self.out.jump_if(5, label);
            other_at = self.out.len() - 4;
        } else {
            if polls {
                self.out.jump_unless_zero(Context::ATTENTION, label);
            }
            self.out.load(RCX, Context::SPACE);
            self.out.bytes(&[0x8d, 0x89, 0, 0, 0, 0]); // lea ecx, [rcx - space]
            space_at = self.out.len() - 4;
            self.out.bytes(&[0x67, 0xe3, 0x05]); // jecxz +5
            self.out.jump(label);
            other_at = self.out.len() - 4;
        }
        match back {
            None => self.out.jump(label),
            Some(_) => self.out.call_label(label),
        }
        let link = Link {
            at: self.out.len() - 4,
            stub: 0,
            state,
            far: Some(Far {
                space_at,
                negated: !state.is_saved(),
                other_at,
                look_up: 0,
            }),
            guess: None,
            detour: None,
            run: false,
            inside: None,
        };
        self.cold.push(Cold::Far {
            label,
            target,
            link,
            back,
        });
    }

    /// Writes what is behind a jump or CALL to another page: a look into the jump table, and the way out. Nobody comes
    /// here by the CALL itself, since it is not reached before it is linked.
    pub(super) fn write_far(
        &mut self,
        label: Label,
        target: u64,
        mut link: Link,
        back: Option<Label>,
    ) {
        let leave = self.out.label();
        let saved = link.state.is_saved();
        if let Some(far) = &mut link.far {
            far.look_up = self.out.len();
        }
        if !saved {
            self.out.save_flags();
        }
        self.look_up_attention(leave);
        self.out.load(RAX, Context::JUMPS);
        self.out.constant(RCX, target);
        let entry = |at| {
            let slot = jump::offset(target) as i64 + at;
            MemoryOperand::with_base_displ(Register::RAX, slot)
        };
        let compare = Instruction::with2(Code::Cmp_r64_rm64, Register::RCX, entry(0));
        self.out.add(&compare.expect("operands of CMP"));
        self.out.jump_if(5, leave);
        let code = match back {
            None => Code::Jmp_rm64,
            Some(_) => Code::Call_rm64,
        };
        let jump = Instruction::with1(code, entry(8));
        self.out.add(&jump.expect("operand of a branch"));
        if let Some(back) = back {
            self.out.jump(back);
        }
        link.stub = self.out.len();
        self.out.bind(label);
        if !saved {
            self.out.save_flags();
        }
        self.out.bind(leave);
        if let Some(back) = back {
            self.out.address(RAX, back);
            self.out.push(RAX);
        }
        let exit = self.exit_to(target, link);
        self.out.leave(exit, self.frame.leave);
    }

    /// Finds the code for the linear address in RCX: afterwards RAX points at its entry in the jump table. Where there is
    /// none, goes to `missed`.
    fn look_up(&mut self, missed: Label) {
        if !self.polled {
            let slow = self.slow();
            self.look_up_attention(slow);
        }
        self.out.find_jump(missed);
    }

    fn ret(&mut self, instruction: &Instruction) -> Option<bool> {
        if self.remembers() {
            return self.ret_remembered(instruction);
        }
        let place = self.pop_place()?;
        self.load_slot(RCX, place);
        self.save_flags();
        self.state = State::Saved;
        let stack = instruction.stack_pointer_increment();
        let missed = self.missed(stack);
        self.look_up(missed);
        self.move_stack(stack);
        self.out.bytes(&[0xff, 0x60, 8]); // jmp [rax + 8]
        Some(false)
    }

    fn indirect(&mut self, instruction: &Instruction, bytes: u32) -> Option<bool> {
        let jumps = instruction.mnemonic() == Mnemonic::Jmp;
        let guesses = self.guesses(instruction);
        if guesses || self.is_late_jump(instruction) {
            self.yield_flags_for_good();
        } else {
            self.save_flags();
            self.state = State::Saved;
        }
        let inside = self.is_inside();
        if guesses && !jumps && !inside {
            self.look_for_room();
        }
        let held = self.find_target(instruction, bytes)?;
        let missed = if jumps { self.missed(0) } else { self.slow() };
        if inside {
            return self.branch_inside(instruction, held, missed);
        }
        if jumps
            && !guesses
            && let Some(redo) = self.deferred()
        {
            self.jump_late(held, redo, missed);
            return Some(false);
        }
        self.out.copy(RCX, held);
        if guesses {
            if jumps && !self.polled {
                let slow = self.slow();
                self.look_up_attention(slow);
            }
            return self.guess(instruction, missed);
        }
        self.look_up(missed);
        if jumps {
            self.out.bytes(&[0xff, 0x60, 8]); // jmp [rax + 8]
            return Some(false);
        }
        self.out.bytes(&[0x48, 0x8b, 0x40, 8]); // mov rax, [rax + 8]
        self.out.store(Context::TEMPORARY, RAX);
        if !self.push_constant(self.address(instruction.next_ip())) {
            return None;
        }
        self.out.jump_context(Context::TEMPORARY);
        Some(false)
    }

    /// The register that has an indirect branch's target.
    fn find_target(&mut self, instruction: &Instruction, bytes: u32) -> Option<u8> {
        if instruction.op0_kind() != OpKind::Register {
            self.slot = bytes;
            let place = self.operand(instruction, bytes, false)?;
            self.load_slot(RCX, place);
            return Some(RCX);
        }
        let register = instruction.op0_register();
        if bytes == 8
            && let Some(home) = register::home(register)
        {
            return Some(home);
        }
        self.load_guest(RCX, register::number(register));
        match bytes {
            2 => self.out.bytes(&[0x0f, 0xb7, 0xc9]), // movzx ecx, cx
            4 => self.out.bytes(&[0x89, 0xc9]),       // mov ecx, ecx
            _ => {}
        }
        Some(RCX)
    }
}

impl Link {
    /// The offset of what is not there to patch.
    const NEVER: u32 = u32::MAX;

    /// For a way out, with the flags in the context, that is never linked.
    pub(crate) fn never() -> Self {
        Self {
            at: Self::NEVER,
            stub: 0,
            state: State::Saved,
            far: None,
            guess: None,
            detour: None,
            run: false,
            inside: None,
        }
    }

    /// For a run of instructions.
    pub(crate) fn run() -> Self {
        Self {
            run: true,
            ..Self::never()
        }
    }

    /// For a way out of a block's middle.
    pub(crate) fn inside(inside: Inside) -> Self {
        Self {
            inside: Some(inside),
            ..Self::never()
        }
    }

    /// Whether it can be linked.
    pub(crate) fn is_patchable(self) -> bool {
        self.at != Self::NEVER
    }
}
