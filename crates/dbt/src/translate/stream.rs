//! Loops that step through pages.
//!
//! A block that ends by going back to its own start, and whose accesses move by constant steps, has a second body
//! without probes. On the way back all its accesses are probed at once, and the steps that are left in the page that
//! ends first are counted; so many times (256 at most) the second body runs, and then everything is probed again. The
//! vCPU's attention is looked at there, too. Where a probe misses, the ordinary body runs once.
//!
//! ```text
//!   block:  ordinary body, back edge ──> save flags, spill borrowed registers
//!                                   ┌──> attention, MXCSR, probes, count    ── missed ──> restore, block
//!                                   │    second body ──┐ way out ──────────────────────> restore, what follows
//!                                   │        └─ again ─┘
//!                                   └─── count is used up: save flags
//! ```
//!
//! Nothing in the second body can fault: its operands are known to be there, the exceptions of floats are masked, and
//! what may fault otherwise keeps a block from having one. So state has to be exact only where the body is left. It
//! holds host addresses in the homes of guest registers that it does not name; their values are spilled meanwhile.
//!
//! In hot blocks there may be accesses beside these that do not move by constant steps. They are probed where they are, as
//! in the ordinary body; where such a probe misses, the instruction, or its run, is left to others with the borrowed
//! registers given back, and the ordinary body goes on. RCX is the probes' then, and the count is in the context.

mod find;

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::deferred::Redo;
use super::probe::Place;
use super::register::{self, RAX, RCX};
use super::writer::{Label, MOST_TURNS, Room};
use super::{Cold, Link, State, Translator};
use crate::Context;
use crate::tlb::{site, stack};
pub(crate) use find::ADDRESSES;
use find::Group;
pub(super) use find::Stream;

/// Most instructions that are run between two looks at the vCPU's attention, if they are more than so many turns.
const LONGEST: usize = 8192;
const FEWEST: usize = 256;
/// The exceptions of MXCSR that must be masked.
const MASKS: u32 = 0x1f80;

/// Where an entry for a group of accesses does not have their range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Astray {
    label: Label,
    back: Label,
    home: u8,
    place: u32,
    bytes: u32,
    write: bool,
    /// Where it goes when the range is not found, and where it leaves code.
    missed: Label,
    wanted: Label,
}

impl Translator<'_> {
    /// The place of the present instruction's access in the second body.
    pub(super) fn stream_place(&self, instruction: &Instruction) -> Option<Place> {
        let stream = self.stream.as_ref()?;
        let group = &stream.groups[stream.places[self.op]?];
        let displacement = instruction.memory_displacement64() as i64;
        Some(Place {
            base: group.home,
            index: group
                .moving
                .and_then(|(register, shift)| Some((register::home(register)?, 1 << shift))),
            displacement: displacement.wrapping_sub(group.low),
        })
    }

    /// Whether an instruction's access was probed before the turn.
    pub(super) fn is_steady(&self, op: usize) -> bool {
        let stream = self.stream.as_ref().filter(|_| self.streaming);
        stream.is_some_and(|stream| stream.places[op].is_some())
    }

    /// Leads those who come to a block of many turns to its second body, if it is to have one.
    pub(super) fn enter_stream(&mut self) {
        let vectors = match &self.stream {
            Some(stream) if self.plan.turns && !stream.mixed && self.state == State::Saved => {
                stream.vectors
            }
            _ => return,
        };
        self.mark(false);
        if vectors {
            self.need_vectors();
        }
        let way_in = self.out.label();
        self.out.jump(way_in);
        self.way_in = Some(way_in);
        self.saved_entry = self.out.label_at(self.out.len());
    }

    /// Leads them to the first body after all, where there is no second one; whether they are led to that.
    pub(super) fn close_way_in(&mut self) -> bool {
        let Some(way_in) = self.way_in else {
            return false;
        };
        if !self.streamed {
            self.out.bind(way_in);
            self.out.jump(self.saved_entry);
        }
        self.streamed
    }

    /// Writes the second body and what goes around it, at the block's back edge.
    pub(super) fn write_stream(&mut self, state: State) {
        let Some(stream) = self.stream.clone() else {
            return;
        };
        let (again, missed, wanted) = (self.out.label(), self.out.label(), self.out.label());
        self.state = state;
        self.redo = None;
        self.vectors = stream.vectors;
        self.save_flags();
        if let Some(way_in) = self.way_in {
            self.out.bind(way_in);
        }
        for (slot, group) in stream.groups.iter().enumerate() {
            self.out.store(spill(slot), group.home);
        }
        self.out.bind(again);
        self.look_up_attention(wanted);
        if stream.vectors {
            // Blocks change flags in the host's MXCSR, and nothing else: its masks are those that were loaded.
            self.out.load32(RAX, Context::MXCSR);
            self.out.bytes(&[0xf7, 0xd0, 0xa9]); // not eax; test eax, MASKS
            self.out.bytes(&MASKS.to_le_bytes());
            self.out.jump_if(5, missed);
        }
        let most = LONGEST / self.source.guests.len();
        let most = most.clamp(FEWEST, MOST_TURNS as usize);
        self.out.constant(RCX, most as u64 - 1);
        for group in &stream.groups {
            self.probe_group(group, missed, wanted);
        }
        if stream.mixed {
            self.out.store32(Context::TURNS, RCX);
        }
        let last = self.flags_at_top(&stream);
        self.out.align_loop();
        let top = self.out.label();
        self.out.bind(top);
        self.second_body(stream.mixed);
        self.turn(last, stream.mixed, top);
        self.mark(false);
        self.out.save_flags();
        self.out.jump(again);

        self.out.bind(missed);
        self.restore_borrowed();
        self.out.jump(self.saved_entry);
        self.out.bind(wanted);
        self.restore_borrowed();
        self.exchange();
        let target = self.source.linear;
        let link = Link::never();
        let exit = self.exit_to(target, link);
        self.out.leave(exit, self.frame.leave);
    }

    /// Probes a group's range: its home is what its accesses are relative to afterwards, and RCX is the number of turns
    /// behind the first if the range leaves its page before those that RCX had. Changes RAX and the flags.
    fn probe_group(&mut self, group: &Group, missed: Label, wanted: Label) {
        let (home, bytes) = (group.home, (group.high - group.low) as u32);
        let base = self.addressing(group.base.base, RAX);
        let index = self.addressing(group.base.index, RAX);
        let (scale, low) = (group.base.scale, group.low);
        let size = if base == Register::None { 8 } else { 1 };
        let operand = MemoryOperand::new(base, index, scale, low, size, false, Register::None);
        let lea = Instruction::with2(Code::Lea_r64_m, register::wide(home), operand);
        self.out.add(&lea.expect("operands of LEA"));
        let room = match self.plan.mixes {
            true => {
                let place = self.next_site(bytes, group.write);
                let (label, back) = (self.out.label(), self.out.label());
                self.out.probe_place(home, place, label, back);
                self.cold.push(Cold::Astray(Astray {
                    label,
                    back,
                    home,
                    place,
                    bytes,
                    write: group.write,
                    missed,
                    wanted,
                }));
                Room::Below(place + site::LIMIT as u32)
            }
            false => {
                self.out.probe_offset(home, bytes, group.write, missed);
                Room::Known(4096 - bytes)
            }
        };
        // Now the home has the offset in the pages, and RAX the range's host address.
        if group.alignment.0 > 1 {
            self.out.test_low(home, group.alignment.0 as u32 - 1);
            self.out.jump_if(5, missed);
        }
        if group.step != 0 {
            self.out.turns(home, room, group.step);
        }
        self.out.copy(home, RAX);
        if let Some((register, shift)) = group.moving {
            let from = register::home(register).expect("a register that moves has a home");
            self.out.subtract_shifted(home, from, shift);
        }
    }

    /// Has the entry of a group of accesses made anew, and goes back; where that was to be told, leaves code.
    pub(super) fn write_astray(&mut self, astray: Astray) {
        self.out.bind(astray.label);
        self.out.push(RCX);
        self.out.copy(RCX, astray.home);
        self.find_site(astray.place, astray.bytes, astray.write);
        self.out.copy(astray.home, RCX);
        self.out.bytes(&[0x59]); // pop rcx
        let home = register::wide(astray.home);
        // What is counted from the entry's limit is not below zero then.
        let most = stack::limit(stack::SIZES[stack::size_class(astray.bytes)]) - 1;
        let compare = Instruction::with2(Code::Cmp_rm64_imm32, home, most as i32);
        self.out.add(&compare.expect("operands of CMP"));
        self.out.jump_if(6, astray.back);
        // cmp dword [wandered], 0
        self.out.is_zero32(Context::WANDERED);
        self.out.jump_if(8, astray.wanted);
        self.out.jump(astray.missed);
    }

    /// Makes the flags, which are saved, what they are at the start of each turn: the number of the instruction that makes
    /// them again at its end, if one does.
    fn flags_at_top(&mut self, stream: &Stream) -> Option<usize> {
        self.state = State::Nowhere;
        if stream.dead && !stream.mixed {
            return stream.last;
        }
        // Where accesses are probed, flags must be known.
        if let Some(last) = stream.last
            && let Some(redo) = self.redo_of(last)
        {
            self.redo = Some(redo);
            self.state = State::Deferred;
            return Some(last);
        }
        self.out.restore_flags();
        self.state = State::Host;
        None
    }

    /// How the flags of the block's last instruction that changes them are made again at the start of a turn, as long as
    /// they are not overwritten.
    fn redo_of(&mut self, last: usize) -> Option<Redo> {
        self.op = last;
        let redo = self.find_redo(&self.source.guests[last].instruction)?;
        self.is_overwritten(redo).then_some(redo)
    }

    fn second_body(&mut self, mixed: bool) {
        self.streaming = true;
        self.op = self.source.guests.len() - 1;
        self.mark(false);
        let merge = std::mem::replace(&mut self.merge, mixed);
        self.forget_stack();
        let count = self.source.guests.len() - 1;
        for op in 0..count {
            self.op = op;
            self.end_region();
            self.begin_region();
            let instruction = self.source.guests[op].instruction;
            if instruction.is_jcc_short_or_near() {
                self.restore_flags();
                let target = self.address(instruction.near_branch_target());
                self.way_out(instruction.condition_code() as u8 - 1, target);
            } else if !self.implicit(&instruction) && !self.plain(&instruction) {
                // Some operand can't be encoded, which the ordinary body comes to know, too.
                self.save_flags();
                self.restore_borrowed();
                let exit = self.exit_at(op);
                self.out.leave(exit, self.frame.leave);
            }
            if mixed {
                self.note_flags();
            }
        }
        self.op = count;
        self.end_region();
        let last = self.source.guests[count].instruction;
        if last.is_jcc_short_or_near() {
            self.restore_flags();
            let target = self.end();
            self.way_out((last.condition_code() as u8 - 1) ^ 1, target);
        }
        self.merge = merge;
        self.streaming = false;
    }

    /// Leaves the second body on a condition.
    fn way_out(&mut self, condition: u8, target: u64) {
        let label = self.out.label();
        self.out.jump_if(condition, label);
        let state = self.state;
        self.cold.push(Cold::Out {
            label,
            target,
            state,
        });
    }

    /// Ends a turn: goes to `top` unless the count is used up; behind it the host's flags are the guest's, if need be by
    /// doing the instruction `last` again.
    fn turn(&mut self, last: Option<usize>, mixed: bool, top: Label) {
        let Some(last) = last else {
            self.restore_flags();
            if mixed {
                self.out.load32(RCX, Context::TURNS);
                // jrcxz +15; lea ecx, [rcx - 1]; and behind the store, jmp top
                self.out.bytes(&[0xe3, 15, 0x8d, 0x49, 0xff]);
                self.out.store32(Context::TURNS, RCX);
            } else {
                // jrcxz +9; lea rcx, [rcx - 1]; jmp top
                self.out.bytes(&[0xe3, 9, 0x48, 0x8d, 0x49, 0xff]);
            }
            self.out.jump(top);
            return;
        };
        if mixed {
            self.out.count_down32(Context::TURNS);
        } else {
            self.out.bytes(&[0x83, 0xe9, 1]); // sub ecx, 1
        }
        self.out.jump_if(3, top);
        let instruction = self.source.guests[last].instruction;
        let done = self.redo_one(&instruction);
        debug_assert!(done, "it was done before");
    }

    /// Gives the guest registers back that the second body has borrowed; changes no flags.
    pub(super) fn restore_borrowed(&mut self) {
        let groups = self.stream.iter().flat_map(|stream| &stream.groups);
        for (slot, home) in groups.map(|group| group.home).enumerate() {
            self.out.load(home, spill(slot));
        }
    }
}

/// Where a borrowed register's value is.
fn spill(slot: usize) -> i64 {
    Context::SPILLED + 8 * slot as i64
}
