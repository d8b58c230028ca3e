//! Makes blocks of host code, by themselves or with what they lead to.

use dbt::{Guest, Key};
use iced_x86::{Decoder, DecoderOptions, EncodingKind, Instruction, Mnemonic};
use mem::Offset;

use super::Translation;
use super::path::{self, Piece};
use crate::block::Block;
use crate::cpu::Cpu;
use crate::engine::Translate;
use crate::exec;
use crate::mode::Mode;

/// What the interpreter executes where code is compared with it: what is never the same twice, and what changes what is not
/// compared.
const APART: [Mnemonic; 10] = [
    Mnemonic::Rdrand,
    Mnemonic::Rdseed,
    Mnemonic::Rdtsc,
    Mnemonic::Rdtscp,
    Mnemonic::Swapgs,
    Mnemonic::Syscall,
    Mnemonic::Sysretq,
    Mnemonic::Iretq,
    Mnemonic::Wrfsbase,
    Mnemonic::Wrgsbase,
];

impl Translation {
    /// Translates a block.
    pub(super) fn make(&mut self, cpu: &Cpu, block: &Block, key: Key) -> Option<u32> {
        if !self.blocks.has_room() {
            self.forget();
            // The segment has another number now.
            return None;
        }
        let pieces = [Some(block.code), block.second];
        let held = pieces
            .iter()
            .flatten()
            .all(|(at, version)| cpu.hold_code(at.page(), *version));
        if !held {
            return None;
        }
        let in_step = matches!(cpu.shared.translate, Translate::InStep(_));
        let path = match self.blocks.path_from(&key) {
            Some(from) if cpu.mode.is_64bit() => self.path(from, block, key),
            _ => None,
        };
        let (path, last) = path.unzip();
        let mut ways = path::ways(path.as_deref().unwrap_or_default());
        let mut guests = match ways.next() {
            None => guests(cpu, 0, &block.bytes, block.ops.len(), false),
            Some(way) => guests_of(cpu, key.linear, way),
        };
        if path.is_none() && !in_step && self.blocks.is_hot(&key) {
            guests.truncate(self.before_loop(&guests, key));
        }
        let sides: Vec<_> = ways
            .map(|side| (side[0].fork, guests_of(cpu, key.linear, side)))
            .collect();
        let sides: Vec<_> = sides
            .iter()
            .filter_map(|(fork, guests)| {
                Some(dbt::Side {
                    fork: (*fork)?,
                    guests,
                })
            })
            .collect();
        if in_step {
            for guest in &mut guests {
                guest.native &= !APART.contains(&guest.instruction.mnemonic());
            }
        }
        let wide = cpu.mode.is_64bit();
        let supervisor = cpu.mode.cpl != 3;
        let source = dbt::Source {
            linear: key.linear,
            wide,
            supervisor: cpu.mode.cpl == 0,
            segmented: cpu.segmented(),
            far: (supervisor && !cpu.is_segmented()).then(|| cpu.mmu.half_of(key.linear)),
            turns: !in_step,
            guests: &guests,
            sides: &sides,
        };
        let others = path.iter().flatten().map(|piece| Offset(piece.place));
        let places = pieces.iter().flatten().map(|(at, _)| *at);
        let mut pages: Vec<u64> = places.chain(others).map(Offset::page).collect();
        pages.sort_unstable();
        pages.dedup();
        let number = self.blocks.add(key, source, &pages);
        let bytes = match path {
            None if guests.len() < block.ops.len() => &block.bytes[..bytes_of(&guests)],
            _ => &block.bytes,
        };
        let code = self.code.push(key.linear, bytes);
        debug_assert_eq!(number, code);
        if let Some(path) = path {
            let parts = path
                .iter()
                .map(|piece| (piece.ops, piece.key, piece.before));
            self.blocks.lie_in(number, parts);
            self.code.add_path(number, path);
        }
        if let Some(last) = last.filter(|last| *last != key) {
            self.blocks.go_on(number, last);
        }
        Some(number)
    }
}

impl Translation {
    /// How many of a block's instructions come before a loop that it goes into, or all: a loop that is entered at its start
    /// is fast from its first turn on.
    fn before_loop(&self, guests: &[Guest], key: Key) -> usize {
        let ends = guests.iter().map(|guest| guest.instruction.next_ip());
        let begins = |end: u64| {
            self.blocks.is_loop(&Key {
                linear: key.linear.wrapping_add(end),
                place: key.place + end,
                second: None,
                kind: key.kind,
            })
        };
        let before = ends.take(guests.len().saturating_sub(1)).position(begins);
        before.map_or(guests.len(), |last| last + 1)
    }
}

/// How many bytes the first instructions of a block have.
fn bytes_of(guests: &[Guest]) -> usize {
    guests
        .last()
        .map_or(0, |last| last.instruction.next_ip() as usize)
}

/// Those of parts of a path, as [`guests`].
fn guests_of(cpu: &Cpu, linear: u64, pieces: &[Piece]) -> Vec<Guest> {
    let of = |piece: &Piece| {
        let at = piece.start.wrapping_sub(linear);
        guests(cpu, at, &piece.bytes, piece.ops, piece.leads)
    };
    pieces.iter().flat_map(of).collect()
}

/// The first `ops` of a block's instructions, which of them may run as themselves, and whether the last one leads to what
/// follows; they count their addresses from `at` before the block.
fn guests(cpu: &Cpu, at: u64, bytes: &[u8], ops: usize, leads: bool) -> Vec<Guest> {
    let options = DecoderOptions::FORCE_RESERVED_NOP;
    let bits = cpu.mode.code.bits();
    let mut decoder = Decoder::with_ip(bits, bytes, at, options);
    (1..=ops)
        .map(|number| {
            let mut instruction = decoder.decode();
            let native = !instruction.is_invalid()
                && exec::claims(&instruction)
                && (cpu.mode.has_vex() || instruction.code().encoding() != EncodingKind::VEX)
                && exec::is_open(cpu, &instruction);
            if cpu.mode.kind & Mode::UNSHARED != 0 && !is_barrier(&instruction) {
                instruction.set_has_lock_prefix(false);
            }
            Guest {
                instruction,
                native,
                inside: leads && number == ops,
            }
        })
        .collect()
}

/// Whether an instruction is locked for its being a barrier, like `lock or dword ptr [rsp], 0`.
fn is_barrier(instruction: &Instruction) -> bool {
    instruction.op_count() == 2 && instruction.try_immediate(1).is_ok_and(|value| value == 0)
}

#[cfg(test)]
mod tests {
    use x86::cr::{cr0, cr4};
    use x86::descriptor::Attributes;
    use x86::flags;

    use super::guests;
    use crate::run::Processor;
    use crate::testing::{self, CODE};

    /// `lock xadd [rdi], rax`; `lock or dword ptr [rsp], 0`.
    const LOCKED: [u8; 10] = [0xf0, 0x48, 0x0f, 0xc1, 0x07, 0xf0, 0x83, 0x0c, 0x24, 0];
    /// `in al, 0x60`, and a JMP to what follows it.
    const IN: [u8; 4] = [0xe4, 0x60, 0xeb, 0];

    /// A processor at CPL 3 with all ports open, at this program.
    fn user(program: &[u8]) -> Processor {
        let mut processor = testing::long(program);
        let cpu = &mut processor.cpu;
        cpu.seg[1].attributes = Attributes(0xa0fb);
        cpu.seg[2].attributes = Attributes(0xc0f3);
        cpu.flags |= flags::IOPL;
        cpu.refresh_mode();
        processor
    }

    fn locks(processor: &Processor) -> [bool; 2] {
        let guests = guests(&processor.cpu, 0, &LOCKED, 2, false);
        [0, 1].map(|number| guests[number].instruction.has_lock_prefix())
    }

    #[test]
    fn a_sole_processors_user_code_has_no_locks_but_barriers() {
        assert_eq!(locks(&user(&[])), [false, true]);
        assert_eq!(locks(&testing::long(&[])), [true, true], "a kernel has");
    }

    #[test]
    fn user_code_that_accesses_a_device_keeps_its_locks() {
        let mut processor = user(&IN);
        let before = processor.cpu.block_key(CODE);
        processor.until(CODE + 4).unwrap();
        assert_eq!(locks(&processor), [true, true]);
        assert_ne!(processor.cpu.block_key(CODE), before, "other code");

        // The kernel's drivers are another matter.
        let mut processor = testing::long(&IN);
        processor.until(CODE + 4).unwrap();
        assert!(processor.cpu.is_unshared);
    }

    #[test]
    fn what_user_code_did_before_a_state_was_loaded_is_not_known() {
        let mut processor = user(&[]);
        let mut state = processor.cpu.save_state();
        processor.cpu.load_state(&state).unwrap();
        assert_eq!(locks(&processor), [true, true]);
        // A guest that begins has no user code.
        state.idtr.limit = 0;
        processor.cpu.load_state(&state).unwrap();
        assert_eq!(locks(&processor), [false, true]);
        state.idtr.limit = 0xfff;
        state.cr0 &= !(cr0::PE | cr0::PG);
        state.cr4 &= !cr4::PAE;
        state.efer = 0;
        processor.cpu.load_state(&state).unwrap();
        assert!(processor.cpu.is_unshared);
    }
}
