//! Memory operands: from guest operands to host addresses.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::register::{self, RAX, RCX, STACK};
use super::writer::{Label, Slot};
use super::{Cold, State, Translator};
use crate::Context;
use crate::tlb::{site, stack};

/// A probed operand: where the host finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) base: u8,
    /// A register that is added, and its scale.
    pub(super) index: Option<(u8, u32)>,
    pub(super) displacement: i64,
}

impl Place {
    const AT_RCX: Self = Self {
        base: RCX,
        index: None,
        displacement: 0,
    };

    pub(super) fn operand(self) -> MemoryOperand {
        let size = u32::from(self.displacement != 0);
        let base = register::wide(self.base);
        let index = self
            .index
            .map_or(Register::None, |(index, _)| register::wide(index));
        MemoryOperand::new(
            base,
            index,
            self.index.map_or(1, |(_, scale)| scale),
            self.displacement,
            size,
            false,
            Register::None,
        )
    }
}

/// A linear address before the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// Held by a host register.
    In(u8),
    /// Known.
    Fixed(u64),
    /// So far from the stack pointer of 64-bit code.
    Stack(i64),
}

/// Where the stack's entry, or an instruction's own, does not have a range, or the range is near its page's end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missed {
    label: Label,
    /// Where it goes on once the range is found.
    back: Label,
    /// Where it goes when the range is not found.
    slow: Label,
    bytes: u32,
    write: bool,
    /// Where in the table the instruction's entry is, if it has one.
    site: Option<u32>,
}

impl Translator<'_> {
    /// Probes the instruction's memory operand, `bytes` bytes long; `None` when that can't be done here. The flags must
    /// be saved. Changes RAX; RCX belongs to the place.
    pub(super) fn operand(
        &mut self,
        instruction: &Instruction,
        bytes: u32,
        write: bool,
    ) -> Option<Place> {
        let address = match self.window(instruction) {
            Some(segment) => self.in_window(instruction, segment, bytes, write)?,
            None => self.linear(instruction)?,
        };
        self.probe(address, bytes, write)
    }

    /// Probes `bytes` bytes at an address.
    pub(super) fn probe(&mut self, address: Address, bytes: u32, write: bool) -> Option<Place> {
        if let Address::Stack(displacement) = address
            && let Some(place) = self.known_stack(displacement, bytes, write)
        {
            return Some(self.settle_place(place));
        }
        let slow = self.slow_probe();
        match address {
            Address::In(held) => {
                self.out.copy(RCX, held);
                let slot = self.probe_found(bytes, write, slow);
                self.out.add_host(slot, write);
                Some(Place::AT_RCX)
            }
            Address::Fixed(linear) => {
                let offset = linear & 0xfff;
                if offset > u64::from(4096 - bytes) {
                    return None;
                }
                self.out.probe_fixed(linear, write, slow);
                Some(Place {
                    displacement: offset as i64,
                    ..Place::AT_RCX
                })
            }
            Address::Stack(displacement) => {
                self.probe_stack(displacement, bytes, write, slow);
                self.out.add_host(Slot::Stack, write);
                Some(Place::AT_RCX)
            }
        }
    }

    /// Probes a range near the stack pointer: afterwards RCX is its offset in the page. Changes the flags, and RAX.
    pub(super) fn probe_stack(&mut self, displacement: i64, bytes: u32, write: bool, slow: Label) {
        self.out.lea(RCX, STACK, displacement);
        self.probe_entry(Slot::Stack, bytes, write, slow);
        self.know_stack(displacement, bytes, write);
    }

    /// Probes the entry of a slot that has one of its own, which is made anew where that misses.
    fn probe_entry(&mut self, slot: Slot, bytes: u32, write: bool, slow: Label) {
        let (missed, back) = (self.out.label(), self.out.label());
        self.out.probe(slot, bytes, write, missed);
        self.out.bind(back);
        self.cold.push(Cold::Missed(Missed {
            label: missed,
            back,
            slow,
            bytes,
            write,
            site: match slot {
                Slot::Site { place, .. } => Some(place),
                _ => None,
            },
        }));
    }

    /// The host address of a place into RCX; changes no flags.
    pub(super) fn settle_place(&mut self, place: Place) -> Place {
        let lea = Instruction::with2(Code::Lea_r64_m, Register::RCX, place.operand());
        self.out.add(&lea.expect("operands of LEA"));
        Place::AT_RCX
    }

    /// Probes a range at the address in RCX: afterwards RCX is its offset in the page, whose entry is that of the slot.
    /// Changes the flags, and RAX.
    pub(super) fn probe_found(&mut self, bytes: u32, write: bool, slow: Label) -> Slot {
        if self.plan.sites >> self.number(self.op) & 1 == 0 {
            self.out.probe(Slot::Dynamic, bytes, write, slow);
            return Slot::Dynamic;
        }
        let slot = Slot::Site {
            place: self.next_site(bytes, write),
            wide: self.plan.wide,
        };
        self.probe_entry(slot, bytes, write, slow);
        slot
    }

    /// The place of an entry in the table that is nobody else's in the block.
    pub(super) fn next_site(&mut self, bytes: u32, write: bool) -> u32 {
        let number = site::count(&mut self.accesses, bytes, write);
        site::place(number, bytes, write)
    }

    /// Has the entry at a place made anew, for what a probe of it has left in RCX.
    pub(super) fn find_site(&mut self, place: u32, bytes: u32, write: bool) {
        self.out.constant(RAX, u64::from(place));
        let thunk = self.frame.find_site[usize::from(write)][stack::size_class(bytes)];
        self.out.call(self.frame.thunks + u64::from(thunk));
    }

    /// Has the entry made anew, and looks again.
    pub(super) fn write_missed(&mut self, missed: Missed) {
        self.out.bind(missed.label);
        match missed.site {
            None => {
                let thunk = self.frame.find_stack[usize::from(missed.write)];
                self.out.call(self.frame.thunks + u64::from(thunk));
            }
            Some(place) => self.find_site(place, missed.bytes, missed.write),
        }
        self.out.leave_if_above(4096 - missed.bytes, missed.slow);
        self.out.jump(missed.back);
    }

    /// Where the present instruction is left to others if a probe misses, which changes the host's flags.
    fn slow_probe(&mut self) -> Label {
        debug_assert!(
            self.state.is_saved() || self.state == State::Deferred || self.instead.is_some(),
            "the flags are lost"
        );
        if self.state == State::Both {
            self.state = State::Saved;
        }
        self.slow()
    }

    /// As [`Translator::probe`], but page and offset stay apart, in RAX and RCX, and are added by the access: a cycle
    /// less until the operand is there.
    pub(super) fn probe_apart(
        &mut self,
        address: Address,
        bytes: u32,
        write: bool,
    ) -> Option<Place> {
        match address {
            Address::Fixed(_) => return self.probe(address, bytes, write),
            Address::Stack(displacement) => {
                let slow = self.slow_probe();
                self.probe_stack(displacement, bytes, write, slow);
                self.out.load_host(Slot::Stack, write);
            }
            Address::In(held) => {
                let slow = self.slow_probe();
                self.out.copy(RCX, held);
                let slot = self.probe_found(bytes, write, slow);
                self.out.load_host(slot, write);
            }
        }
        Some(Place {
            base: RAX,
            index: Some((RCX, 1)),
            displacement: 0,
        })
    }

    /// Leaves a locked access to others when it is not aligned: one that crosses cache lines stops the whole host, and
    /// host kernels punish it. The place is at RCX then.
    pub(super) fn whole(&mut self, place: Place, bytes: u32) -> Place {
        debug_assert!(place.base == RCX && place.index.is_none());
        let place = match place.displacement {
            0 => place,
            _ => self.settle_place(place),
        };
        if bytes > 1 {
            let slow = self.slow();
            self.out.bytes(&[0xf6, 0xc1, bytes as u8 - 1]); // test cl, bytes - 1
            self.out.jump_if(5, slow);
        }
        place
    }

    /// The segment of a memory operand whose offset is not its linear address.
    pub(super) fn window(&self, instruction: &Instruction) -> Option<usize> {
        let segment = instruction.memory_segment();
        let based = self.source.segmented.is_some()
            || !self.source.wide && matches!(segment, Register::FS | Register::GS);
        (based && segment.is_segment_register()).then(|| segment.number())
    }

    /// The linear address of a memory operand in a segment with a base and a limit. Changes RAX, RCX and the flags.
    fn in_window(
        &mut self,
        instruction: &Instruction,
        segment: usize,
        bytes: u32,
        write: bool,
    ) -> Option<Address> {
        if !self.offset(instruction) {
            return None;
        }
        Some(self.in_segment(segment, bytes, write))
    }

    /// From an offset in RCX, 32 bits wide, to a linear address; leaves where the segment does not let it through.
    pub(super) fn in_segment(&mut self, segment: usize, bytes: u32, write: bool) -> Address {
        let slow = self.slow();
        // lea rax, [rcx + bytes]
        self.out.bytes(&[0x48, 0x8d, 0x81]);
        self.out.bytes(&bytes.to_le_bytes());
        let end = Context::window(segment, if write { 2 } else { 1 });
        self.out.compare_context(RAX, end);
        self.out.jump_if(7, slow);
        self.out.add_context32(RCX, Context::window(segment, 0));
        Address::In(RCX)
    }

    /// The effective address outside 64-bit mode, in RCX; false for those of vectors. Changes RAX.
    pub(super) fn offset(&mut self, instruction: &Instruction) -> bool {
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if index.is_vector_register() || base.is_ip() {
            return false;
        }
        let displacement = instruction.memory_displacement64();
        if base == Register::None && index == Register::None {
            self.out.constant(RCX, displacement & 0xffff_ffff);
            return true;
        }
        let narrow = is_narrow(instruction);
        let operand = self.effective(instruction);
        let lea = Instruction::with2(Code::Lea_r32_m, Register::ECX, operand);
        if !lea.is_ok_and(|lea| self.out.try_add(&lea)) {
            return false;
        }
        if narrow {
            self.out.bytes(&[0x0f, 0xb7, 0xc9]); // movzx ecx, cx
        }
        true
    }

    /// The linear address of a memory operand, in RCX unless some register has it anyway; `None` for segments that
    /// have to be looked at. Changes RAX, and the flags when a segment has a base.
    pub(super) fn linear(&mut self, instruction: &Instruction) -> Option<Address> {
        let segment = self.segment(instruction)?;
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if index.is_vector_register() || is_narrow(instruction) && self.source.wide {
            return None;
        }
        let displacement = instruction.memory_displacement64();
        if base.is_ip() {
            let known = self.address(displacement);
            return match (base, segment) {
                (Register::RIP, None) => Some(Address::Fixed(known)),
                (Register::RIP, Some(offset)) => {
                    self.out.constant(RCX, known);
                    self.out.add_context(RCX, offset);
                    Some(Address::In(RCX))
                }
                _ => None,
            };
        }
        if base == Register::None && index == Register::None {
            if segment.is_none() {
                return Some(Address::Fixed(displacement));
            }
            self.out.constant(RCX, displacement);
        } else {
            let narrow = base.size() == 4 || index.size() == 4;
            if base == Register::RSP && index == Register::None && segment.is_none() {
                return Some(Address::Stack(displacement as i64));
            }
            if let Some(held) = home_of(base)
                && index == Register::None
                && displacement == 0
                && segment.is_none()
                && !narrow
            {
                return Some(Address::In(held));
            }
            let narrow = narrow || is_narrow(instruction);
            let operand = self.effective(instruction);
            let (code, to) = if narrow {
                (Code::Lea_r32_m, Register::ECX)
            } else {
                (Code::Lea_r64_m, Register::RCX)
            };
            let lea = Instruction::with2(code, to, operand).ok()?;
            if !self.out.try_add(&lea) {
                return None;
            }
            if is_narrow(instruction) {
                self.out.bytes(&[0x0f, 0xb7, 0xc9]); // movzx ecx, cx
            }
        }
        if let Some(offset) = segment {
            self.out.add_context(RCX, offset);
        }
        Some(Address::In(RCX))
    }

    /// The effective address as an operand of LEA, 64 bits wide; changes RAX, and RCX when two registers live in the
    /// context.
    pub(super) fn effective(&mut self, instruction: &Instruction) -> MemoryOperand {
        let base = self.addressing(instruction.memory_base(), RAX);
        let scratch = if base == Register::RAX { RCX } else { RAX };
        let index = self.addressing(instruction.memory_index(), scratch);
        let displacement = instruction.memory_displacement64();
        let narrow =
            instruction.memory_base().size() == 4 || instruction.memory_index().size() == 4;
        MemoryOperand::new(
            base,
            index,
            instruction.memory_index_scale(),
            if is_narrow(instruction) {
                i64::from(displacement as i16)
            } else if narrow {
                i64::from(displacement as i32)
            } else {
                displacement as i64
            },
            match (base, displacement) {
                (Register::None, _) => 8,
                (_, 0) => 0,
                _ => 1,
            },
            false,
            Register::None,
        )
    }

    /// The host's 64-bit register for a base or index; one that lives in the context is loaded to `scratch`.
    pub(super) fn addressing(&mut self, register: Register, scratch: u8) -> Register {
        if register == Register::None {
            return Register::None;
        }
        match register::home(register) {
            Some(home) => register::wide(home),
            None => {
                let offset = i64::from(register::number(register)) * 8;
                self.out.load(scratch, offset);
                register::wide(scratch)
            }
        }
    }

    /// Where the base of a memory operand's segment lies in the context, if it has one; `None` when the segment is not
    /// as simple as that.
    fn segment(&self, instruction: &Instruction) -> Option<Option<i64>> {
        match instruction.memory_segment() {
            Register::FS if self.source.wide => Some(Some(Context::SEGMENT_BASE)),
            Register::GS if self.source.wide => Some(Some(Context::SEGMENT_BASE + 8)),
            _ if self.source.wide => Some(None),
            Register::ES | Register::SS | Register::DS => Some(None),
            _ => None,
        }
    }
}

/// Whether an effective address has 16 bits.
pub(super) fn is_narrow(instruction: &Instruction) -> bool {
    instruction.memory_base().size() == 2 || instruction.memory_index().size() == 2
}

/// The host's register that holds a 64-bit base.
fn home_of(base: Register) -> Option<u8> {
    (base.size() == 8).then(|| register::home(base)).flatten()
}
