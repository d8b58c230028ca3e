//! Bytes of host code, labels, and the sequences that blocks are made of besides the guest's own instructions.

mod context;
mod probe;

use iced_x86::{Code, Encoder, Instruction, MemoryOperand};

pub(crate) use probe::Slot;

use super::register::{self, RAX, RCX};
use crate::{Context, jump};

/// A place in the code that may not be known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(u32);

const UNBOUND: u32 = u32::MAX;

/// How far an offset may go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Room {
    /// To that.
    Known(u32),
    /// To one less than the word at a place of the TLB's table.
    Below(u32),
}

/// See [`Writer::turns`].
pub(super) const MOST_TURNS: u32 = 1024;

/// NOP in so many bytes, as the manuals have it.
const NOPS: [[u8; 9]; 9] = [
    [0x90, 0, 0, 0, 0, 0, 0, 0, 0],
    [0x66, 0x90, 0, 0, 0, 0, 0, 0, 0],
    [0x0f, 0x1f, 0x00, 0, 0, 0, 0, 0, 0],
    [0x0f, 0x1f, 0x40, 0, 0, 0, 0, 0, 0],
    [0x0f, 0x1f, 0x44, 0, 0, 0, 0, 0, 0],
    [0x66, 0x0f, 0x1f, 0x44, 0, 0, 0, 0, 0],
    [0x0f, 0x1f, 0x80, 0, 0, 0, 0, 0, 0],
    [0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0],
    [0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
];

/// JMP and JNE, for [`Writer::guess`].
pub(crate) const UNGUESSED: [u8; 2] = [0x90, 0xe9];
pub(crate) const GUESSED: [u8; 2] = [0x0f, 0x85];
/// See there.
pub(crate) const GUESS: u32 = 13;

/// Code that is being written.
pub(crate) struct Writer {
    encoder: Encoder,
    len: u32,
    base: u64,
    context: u64,
    labels: Vec<u32>,
    /// Offset of a 32-bit displacement that ends where it counts from, and its target.
    fixups: Vec<(u32, Label)>,
}

/// The memory of a writer that is done.
#[derive(Debug, Default)]
pub(super) struct Paper {
    pub(super) code: Vec<u8>,
    labels: Vec<u32>,
    fixups: Vec<(u32, Label)>,
}

impl Writer {
    pub(crate) fn new(base: u64, context: u64) -> Self {
        Self::on(Paper::default(), base, context)
    }

    /// A writer that uses the memory of another one.
    pub(super) fn on(paper: Paper, base: u64, context: u64) -> Self {
        let mut encoder = Encoder::new(64);
        let Paper {
            mut code,
            mut labels,
            mut fixups,
        } = paper;
        code.clear();
        labels.clear();
        fixups.clear();
        encoder.set_buffer(code);
        Self {
            encoder,
            len: 0,
            base,
            context,
            labels,
            fixups,
        }
    }

    /// Its memory, but for what the code is in.
    pub(super) fn paper(self) -> Paper {
        Paper {
            code: Vec::new(),
            labels: self.labels,
            fixups: self.fixups,
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// A label at a place that is known.
    pub(crate) fn label_at(&mut self, at: u32) -> Label {
        self.labels.push(at);
        Label(self.labels.len() as u32 - 1)
    }

    pub(crate) fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.len;
    }

    /// The code, with all labels resolved.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut code = self.encoder.take_buffer();
        for &(at, label) in &self.fixups {
            let target = self.labels[label.0 as usize];
            debug_assert!(target != UNBOUND);
            let displacement = target.wrapping_sub(at + 4);
            code[at as usize..at as usize + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        code
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let mut code = self.encoder.take_buffer();
        code.extend_from_slice(bytes);
        self.encoder.set_buffer(code);
        self.len += bytes.len() as u32;
    }

    fn displacement(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// Adds an instruction, when it can be encoded.
    #[must_use]
    pub(crate) fn try_add(&mut self, instruction: &Instruction) -> bool {
        let at = self.base + u64::from(self.len);
        match self.encoder.encode(instruction, at) {
            Ok(len) => {
                self.len += len as u32;
                true
            }
            Err(_) => {
                // The encoder may have begun.
                let mut code = self.encoder.take_buffer();
                code.truncate(self.len as usize);
                self.encoder.set_buffer(code);
                false
            }
        }
    }

    /// Adds an instruction that is known to be valid.
    pub(crate) fn add(&mut self, instruction: &Instruction) {
        let added = self.try_add(instruction);
        assert!(added, "made from valid operands: {instruction:?}");
    }

    /// MOV between 64-bit registers.
    pub(crate) fn copy(&mut self, to: u8, from: u8) {
        if to != from {
            let rex = 0x48 | from >> 3 << 2 | to >> 3;
            self.bytes(&[rex, 0x89, 0xc0 | (from & 7) << 3 | to & 7]);
        }
    }

    /// A constant into a 64-bit register.
    pub(crate) fn constant(&mut self, register: u8, value: u64) {
        let low = register & 7;
        if let Ok(value) = u32::try_from(value) {
            if register >= 8 {
                self.bytes(&[0x41]);
            }
            self.bytes(&[0xb8 | low]);
            self.displacement(value);
        } else if let Ok(value) = i32::try_from(value as i64) {
            self.bytes(&[0x48 | register >> 3, 0xc7, 0xc0 | low]);
            self.displacement(value as u32);
        } else {
            self.bytes(&[0x48 | register >> 3, 0xb8 | low]);
            self.bytes(&value.to_le_bytes());
        }
    }

    /// The host's flags into the context; changes RAX, and no flags.
    pub(crate) fn save_flags(&mut self) {
        self.take_flags();
        self.store_flags();
    }

    /// The host's flags into RAX, in the form that the context has; changes no flags.
    pub(crate) fn take_flags(&mut self) {
        self.bytes(&[0x9f, 0x0f, 0x90, 0xc0]); // lahf; seto al
    }

    /// What [`Writer::take_flags`] took into the context, and two bytes of anything behind; changes no flags. A load gets
    /// what was just stored from the store buffer with less delay when it is as wide as the store, 32 bits or more.
    pub(crate) fn store_flags(&mut self) {
        self.context_operand(&[0x89], RAX, Context::CC, 0);
    }

    /// What [`Writer::store_flags`] stored, into EAX.
    pub(super) fn load_flags(&mut self) {
        self.context_operand(&[0x8b], RAX, Context::CC, 0);
    }

    /// The context's flags into the host's; changes RAX.
    pub(crate) fn restore_flags(&mut self) {
        self.load_flags();
        self.bytes(&[0x04, 0x7f, 0x9e]); // add al, 0x7f; sahf
    }

    /// Makes the table whose address is in RAX the one that is probed.
    pub(super) fn select_table(&mut self) {
        self.bytes(&[0xf3, 0x48, 0x0f, 0xae, 0xd8]); // wrgsbase rax
        self.store(Context::TABLE, RAX);
    }

    /// Leaves the block by exit number `exit`.
    pub(crate) fn leave(&mut self, exit: u32, to: u64) {
        self.bytes(&[0xb9]); // mov ecx, exit
        self.displacement(exit);
        self.bytes(&[0xe9]);
        self.relative(to);
    }

    fn relative(&mut self, to: u64) {
        let next = self.base + u64::from(self.len) + 4;
        self.displacement(to.wrapping_sub(next) as u32);
    }

    pub(crate) fn call(&mut self, to: u64) {
        self.bytes(&[0xe8]);
        self.relative(to);
    }

    pub(crate) fn call_label(&mut self, label: Label) {
        self.bytes(&[0xe8]);
        self.fixup(label);
    }

    /// PUSH of a 64-bit register.
    pub(super) fn push(&mut self, register: u8) {
        if register >= 8 {
            self.bytes(&[0x41]);
        }
        self.bytes(&[0x50 | register & 7]);
    }

    /// The address of a label into a 64-bit register.
    pub(super) fn address(&mut self, register: u8, label: Label) {
        self.bytes(&[0x48 | register >> 3 << 2, 0x8d, (register & 7) << 3 | 5]);
        self.fixup(label);
    }

    /// Goes to `other` unless RCX is what is put there later; always, to begin with. The offset of the displacement of the
    /// jump, behind whatever [`UNGUESSED`] or [`GUESSED`] is to be there; the address is [`GUESS`] bytes before. Changes
    /// RAX and the flags.
    pub(super) fn guess(&mut self, other: Label) -> u32 {
        self.bytes(&[0x48, 0xb8]); // mov rax, ...
        self.bytes(&[0; 8]);
        self.bytes(&[0x48, 0x39, 0xc1]); // cmp rcx, rax
        self.bytes(&UNGUESSED);
        self.fixup(other);
        self.len - 4
    }

    /// Finds the code for the linear address in RCX: afterwards RAX points at its entry in the jump table. Where there is
    /// none, goes to `missed`. Changes the flags.
    pub(super) fn find_jump(&mut self, missed: Label) {
        // rorx rax, rcx, ROTATE; and eax, MASK
        self.bytes(&[0xc4, 0xe3, 0xfb, 0xf0, 0xc1, jump::ROTATE, 0x25]);
        self.displacement(jump::MASK);
        self.add_context(RAX, Context::JUMPS);
        self.bytes(&[0x48, 0x3b, 0x08]); // cmp rcx, [rax]
        self.jump_if(5, missed);
    }

    /// Goes to the code for the linear address in `register`, if that does not look at the flags; else, or where it is not
    /// known, to `missed`. Changes RAX and the flags.
    pub(super) fn find_late_jump(&mut self, register: u8, missed: Label) {
        let (low, high) = (register & 7, register >> 3);
        // rorx rax, register, ROTATE; and eax, LATE_MASK
        self.bytes(&[0xc4, 0xe3 & !(high << 5), 0xfb, 0xf0, 0xc0 | low]);
        self.bytes(&[jump::ROTATE, 0x25]);
        self.displacement(jump::LATE_MASK);
        self.add_context(RAX, Context::JUMPS);
        // cmp register, [rax + LATE]
        self.bytes(&[0x48 | high << 2, 0x3b, 0x80 | low << 3]);
        self.displacement(jump::LATE);
        self.jump_if(5, missed);
        self.bytes(&[0xff, 0xa0]); // jmp [rax + LATE + 8]
        self.displacement(jump::LATE + 8);
    }

    pub(crate) fn jump(&mut self, label: Label) {
        self.bytes(&[0xe9]);
        self.fixup(label);
    }

    /// JMP to an address.
    pub(crate) fn jump_to(&mut self, to: u64) {
        self.bytes(&[0xe9]);
        self.relative(to);
    }

    /// Jcc with the condition code in the low four bits of its opcode.
    pub(crate) fn jump_if(&mut self, condition: u8, label: Label) {
        self.bytes(&[0x0f, 0x80 | condition]);
        self.fixup(label);
    }

    fn fixup(&mut self, label: Label) {
        self.fixups.push((self.len, label));
        self.displacement(0);
    }

    /// Goes to `label` when the vector registers are not loaded; changes RCX, and no flags.
    /// Goes to `label` unless a 32-bit word of the context is zero; changes RCX, and no flags.
    pub(super) fn jump_unless_zero(&mut self, offset: i64, label: Label) {
        self.load32(RCX, offset);
        self.bytes(&[0xe3, 0x05]); // jrcxz +5
        self.jump(label);
    }

    /// Skips the JMP that follows, when RCX is not zero; changes no flags.
    pub(crate) fn skip_unless_zero(&mut self) {
        self.bytes(&[0xe3, 0x02, 0xeb, 0x05]); // jrcxz +2; jmp +5
    }

    /// Fills up to where code should begin.
    pub(crate) fn align(&mut self) {
        while !self.len.is_multiple_of(16) {
            self.bytes(&[0xcc]);
        }
    }

    /// Goes on at a multiple of 64 bytes: what the processor fetches at once.
    pub(super) fn align_loop(&mut self) {
        const LINE: u64 = 64;
        let mut rest = (self.base + u64::from(self.len)).wrapping_neg() % LINE;
        while rest > 0 {
            let count = rest.min(9);
            self.bytes(&NOPS[count as usize - 1][..count as usize]);
            rest -= count;
        }
    }

    /// The sum of a register and a displacement; changes no flags.
    pub(super) fn lea(&mut self, to: u8, base: u8, displacement: i64) {
        if displacement == 0 {
            return self.copy(to, base);
        }
        let operand = MemoryOperand::with_base_displ(register::wide(base), displacement);
        let lea = Instruction::with2(Code::Lea_r64_m, register::wide(to), operand);
        self.add(&lea.expect("operands of LEA"));
    }

    /// Makes ECX, which is at most [`MOST_TURNS`], the number of steps that an offset in `register` can be moved by and stay
    /// within a range, if that is less. Changes the register and the flags.
    pub(super) fn turns(&mut self, register: u8, room: Room, step: i64) {
        let (low, high) = (register & 7, register >> 3);
        match room {
            _ if step < 0 => {}
            Room::Known(room) => {
                // neg register; add register, room
                self.bytes(&[0x40 | high, 0xf7, 0xd8 | low]);
                self.bytes(&[0x40 | high, 0x81, 0xc0 | low]);
                self.displacement(room);
            }
            Room::Below(place) => {
                // not register; add register, gs:[place]
                self.bytes(&[0x40 | high, 0xf7, 0xd0 | low]);
                self.bytes(&[0x65, 0x40 | high << 2, 0x03, low << 3 | 4, 0x25]);
                self.displacement(place);
            }
        }
        let size = step.unsigned_abs() as u32;
        let enough = self.label();
        if size.is_power_of_two() {
            // shr register, log2(size)
            self.bytes(&[0x40 | high, 0xc1, 0xe8 | low, size.trailing_zeros() as u8]);
        } else {
            if matches!(room, Room::Below(_)) {
                // cmp register, more than matters: the product has no more than 32 bits
                self.bytes(&[0x40 | high, 0x81, 0xf8 | low]);
                self.displacement(MOST_TURNS * size);
                self.jump_if(7, enough);
            }
            // imul register, register, 65536 / size; shr register, 16: rounded down, never up
            self.bytes(&[0x40 | high | high << 2, 0x69, 0xc0 | low << 3 | low]);
            self.displacement(65536 / size);
            self.bytes(&[0x40 | high, 0xc1, 0xe8 | low, 16]);
        }
        // cmp register, ecx; cmovb ecx, register
        self.bytes(&[0x40 | high, 0x39, 0xc8 | low]);
        self.bytes(&[0x40 | high, 0x0f, 0x42, 0xc8 | low]);
        self.bind(enough);
    }

    /// Subtracts `from << shift`; changes RAX and the flags.
    pub(super) fn subtract_shifted(&mut self, register: u8, from: u8, shift: u32) {
        self.copy(RAX, from);
        if shift != 0 {
            self.bytes(&[0x48, 0xc1, 0xe0, shift as u8]); // shl rax, shift
        }
        // sub register, rax
        self.bytes(&[0x48 | register >> 3, 0x29, 0xc0 | register & 7]);
    }

    /// TEST of a 32-bit register with a constant.
    pub(super) fn test_low(&mut self, register: u8, bits: u32) {
        self.bytes(&[0x40 | register >> 3, 0xf7, 0xc0 | register & 7]);
        self.displacement(bits);
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::Register;

    use super::*;

    #[test]
    fn what_cannot_be_encoded_leaves_nothing_behind() {
        let mut out = Writer::new(0x1000, 0);
        out.bytes(&[0x90]);
        // AH and a register that needs a prefix.
        let add = Instruction::with2(Code::Add_rm8_r8, Register::R9L, Register::AH);
        assert!(!out.try_add(&add.unwrap()));
        out.bytes(&[0x91]);
        assert_eq!(out.len(), 2);
        assert_eq!(out.finish(), [0x90, 0x91]);
    }
}
