//! Draws programs.

use super::Program;
use super::build::{Builder, Label};
use super::plain::{Pools, Roles};
use crate::case::{Bits, Case, MOST_CODE, Registers, registers};
use crate::layout::{CODE, CODE_LEN, DATA, DATA_LEN, PAGE, STOP};
use crate::random::Random;

/// R9 to R11.
const EXTRA: [u8; 3] = [9, 10, 11];
/// From here on a program gets nothing more but its functions.
const LONG: usize = 600;

impl Program {
    /// A random program; nothing when the dice gave one that does not fit.
    pub(crate) fn draw(pools: &Pools, random: &mut Random) -> Option<Self> {
        let bits = if random.one_in(4) {
            Bits::B32
        } else {
            Bits::B64
        };
        let roles = Roles::draw(bits, random);
        let offset = match random.below(4) {
            0 => PAGE - random.below(LONG / 2),
            _ => random.below(CODE_LEN - MOST_CODE),
        };
        let base = CODE + offset as u64;
        let calls = random.one_in(2);
        let mut registers = state(bits, &roles, calls, random);
        registers.rip = base;
        let data_seed = random.bits();
        let (code, labels, end) = code(Builder::new(pools, random, bits, roles, base), calls)?;
        let mut case = Case {
            bits,
            code: [0; MOST_CODE],
            len: code.len() as u16,
            registers,
            data_seed,
        };
        case.code.get_mut(..code.len())?.copy_from_slice(&code);
        Some(Self { case, labels, end })
    }
}

fn code(mut builder: Builder<'_>, calls: bool) -> Option<(Vec<u8>, Vec<u16>, u16)> {
    let functions: Vec<Label> = if calls {
        (0..1 + builder.random.below(3))
            .map(|_| builder.label())
            .collect()
    } else {
        Vec::new()
    };
    let end = builder.label();
    for _ in 0..1 + builder.random.below(5) {
        builder.segment(&functions, end, false);
    }
    builder.here(end);
    let at = builder.code.len() as u16;
    builder.code.push(STOP);
    for (number, &function) in functions.iter().enumerate() {
        builder.here(function);
        let kept: Vec<u8> = (0..builder.random.below(3))
            .filter_map(|_| builder.scratch())
            .collect();
        for register in &kept {
            let mut bytes = builder.rex(false, *register);
            bytes.push(0x50 | register & 7); // PUSH
            builder.push(&bytes);
        }
        match builder.random.one_in(2) {
            true => builder.plain(8, false),
            false => {
                let count = builder.random.below(8);
                builder.run(count, false);
            }
        }
        if let Some(&next) = functions.get(number + 1)
            && builder.random.one_in(3)
        {
            builder.call(next);
            builder.run(2, false);
        }
        for register in kept.iter().rev() {
            let mut bytes = builder.rex(false, *register);
            bytes.push(0x58 | register & 7); // POP
            builder.push(&bytes);
        }
        builder.define();
        builder.code.push(0xc3);
    }
    let (code, labels) = builder.finish()?;
    Some((code, labels, at))
}

impl Builder<'_> {
    /// A part of a program: straight, or with a branch, a loop or a call.
    fn segment(&mut self, functions: &[Label], end: Label, in_loop: bool) {
        if self.code.len() > LONG {
            return;
        }
        match self.random.below(9) {
            0 | 1 => self.straight(20),
            2 | 3 => {
                let behind = self.label();
                if self.random.one_in(5) {
                    self.jump_if_zero(behind);
                } else {
                    let condition = self.random.below(16) as u8;
                    self.jump_if(condition, behind);
                }
                self.straight(5);
                self.here(behind);
                self.straight(3);
            }
            4 => {
                let (other, behind) = (self.label(), self.label());
                let condition = self.random.below(16) as u8;
                self.jump_if(condition, other);
                self.straight(5);
                self.jump(behind);
                self.here(other);
                self.straight(5);
                self.here(behind);
            }
            5 if self.random.one_in(4) => {
                let condition = self.random.below(16) as u8;
                self.jump_if(condition, end);
            }
            6 if !functions.is_empty() => {
                let function = self.random.pick(functions);
                self.call(function);
                self.straight(3);
            }
            _ if !in_loop => self.repeat(functions, end),
            _ => self.straight(8),
        }
    }

    fn repeat(&mut self, functions: &[Label], end: Label) {
        let rounds = match self.random.below(8) {
            0 => 1 + self.random.below(200),
            _ => 1 + self.random.below(10),
        };
        let counter = self.roles.counter;
        self.set(counter, rounds as u32);
        let again = self.label();
        self.here(again);
        self.straight(4);
        for _ in 0..self.random.below(3) {
            self.segment(functions, end, true);
        }
        // Now, not between counting and jumping
        self.define();
        let condition = match self.random.below(3) {
            // DEC leaves CF as it was
            0 => {
                let mut bytes = self.rex(true, counter);
                bytes.extend([0xff, 0xc8 | counter & 7]);
                self.push(&bytes);
                self.random.pick(&[5, 15]) // NZ, G
            }
            1 => {
                self.arithmetic(5, counter, 1);
                self.random.pick(&[5, 7, 15]) // NZ, A, G
            }
            _ => {
                self.arithmetic(0, counter, 0xff);
                self.random.pick(&[5, 15])
            }
        };
        self.jump_if(condition, again);
    }

    fn straight(&mut self, most: usize) {
        self.plain(most, true);
    }

    /// Plain instructions, with block operations among them; outside functions also with PUSH, POP and steps of the
    /// pointers, which many calls would move into the stack.
    fn plain(&mut self, most: usize, stack: bool) {
        for _ in 0..1 + self.random.below(most) {
            match self.random.below(24) {
                0 if stack => {
                    let pointer = self.random.pick(&self.roles.pointers);
                    let step = 1 + self.random.below(16) as u8;
                    self.arithmetic(0, pointer, step);
                }
                1 => {
                    let value = self.random.below(48) as u32;
                    self.set(self.roles.small, value);
                }
                2 if !self.roles.keeps(1) => self.block(),
                3 => self.arithmetic_and_accesses(),
                4 => self.comparisons_and_accesses(),
                5 => {
                    let [to, from] = [0; 2].map(|_| self.random.pick(&self.roles.pointers));
                    let mut bytes = vec![0x89, 0xc0 | (from & 7) << 3 | to & 7]; // MOV
                    if self.bits == Bits::B64 {
                        bytes.insert(0, 0x48 | from >> 3 << 2 | to >> 3);
                    }
                    self.push(&bytes);
                }
                _ => self.run(1, stack),
            }
        }
    }

    /// Copies, shifts, sums and steps of two registers among accesses, as compilers write them: translators need not keep
    /// the flags of all of them.
    fn arithmetic_and_accesses(&mut self) {
        let count = match self.bits {
            Bits::B64 => 16,
            Bits::B32 => 8,
        };
        let mut free: Vec<u8> = (0..count)
            .filter(|&register| register != 4 && !self.roles.keeps(register))
            .collect();
        let first = self.random.below(free.len());
        free.rotate_left(first);
        if self.random.one_in(2) {
            // Those that translators have no registers for
            free.sort_by_key(|register| !EXTRA.contains(register));
        }
        free.truncate(3);
        let mut before = 0;
        for _ in 0..2 + self.random.below(7) {
            let (to, from) = match self.random.below(4) {
                0 => (self.random.pick(&free), self.random.pick(&free)),
                _ => (free[0], free[1]),
            };
            let wide = self.random.one_in(2);
            let pointer = self.random.pick(&self.roles.pointers);
            let shift = self.random.below(8) as u8;
            let rex = |reg: u8, rm: u8| 0x40 | u8::from(wide) << 3 | reg >> 3 << 2 | rm >> 3;
            let registers = |reg: u8, rm: u8| 0xc0 | (reg & 7) << 3 | rm & 7;
            let disp8 = |reg: u8| [0x44 | (reg & 7) << 3, pointer & 7 | 0x20, 16 * shift];
            // Copies are shifted, and what was copied is counted.
            let piece = match (before, self.random.one_in(2)) {
                (0, true) => 1,
                (1, true) => 5,
                _ => self.random.below(9),
            };
            before = piece;
            let bytes = match piece {
                0 => vec![rex(from, to), 0x89, registers(from, to)],
                // SHL, SHR, SAR
                1 => {
                    let operation = self.random.pick(&[4, 5, 7]);
                    vec![rex(0, to), 0xc1, registers(operation, to), shift]
                }
                // ADD, SUB
                2 => vec![rex(from, to), 0x01, registers(from, to)],
                3 => vec![rex(from, to), 0x29, registers(from, to)],
                // INC, DEC
                4 => vec![rex(0, to), 0xff, registers(shift & 1, to)],
                5 => vec![rex(0, from), 0xff, registers(shift & 1, from)],
                6 => [&[rex(to, pointer), 0x8b][..], &disp8(to)].concat(),
                7 => [&[rex(from, pointer), 0x89][..], &disp8(from)].concat(),
                // ADC
                _ => vec![rex(from, to), 0x11, registers(from, to)],
            };
            let skip = usize::from(self.bits == Bits::B32);
            self.push_if_defined(&bytes[skip..]);
        }
    }

    /// Comparisons with memory, with a branch and another access behind each: translators need not keep their flags.
    fn comparisons_and_accesses(&mut self) {
        let behind = self.label();
        for _ in 0..1 + self.random.below(4) {
            let register = self.scratch().unwrap_or(0);
            let [there, here] = [0; 2].map(|_| self.random.pick(&self.roles.pointers));
            let at = self.random.below(120) as u8;
            let wide = self.random.one_in(2);
            let compare = match self.random.below(4) {
                0 => vec![0x80, 0x7c, there & 7 | 0x20, at, self.random.bits() as u8],
                1 => vec![0x85, 0x44 | (register & 7) << 3, there & 7 | 0x20, at],
                2 => vec![0x3b, 0x44 | (register & 7) << 3, there & 7 | 0x20, at],
                _ => vec![0x39, 0x44 | (register & 7) << 3, there & 7 | 0x20, at],
            };
            let group = matches!(compare[0], 0x80);
            self.on_memory(wide, if group { 0 } else { register }, there, &compare);
            if self.random.one_in(2) {
                let condition = self.random.below(16) as u8;
                self.jump_if(condition, behind);
            }
            // MOV from and to memory, and MOVSXD, which 64-bit mode alone has
            let opcode = match self.bits {
                Bits::B64 => self.random.pick(&[0x8b, 0x8b, 0x89, 0x63]),
                Bits::B32 => self.random.pick(&[0x8b, 0x89]),
            };
            if !self.roles.keeps(register) {
                let access = [opcode, 0x44 | (register & 7) << 3, here & 7 | 0x20, at];
                self.on_memory(wide, register, here, &access);
            }
            if self.random.one_in(2) {
                let registers = self.random.below(64) as u8;
                self.push(&[0x39, 0xc0 | registers]); // CMP
            }
        }
        self.here(behind);
    }

    /// An instruction with a memory operand by a pointer, its SIB byte the third.
    fn on_memory(&mut self, wide: bool, register: u8, pointer: u8, bytes: &[u8]) {
        let rex = 0x40 | u8::from(wide) << 3 | register >> 3 << 2 | pointer >> 3;
        let rex = (self.bits == Bits::B64).then_some(rex);
        let whole: Vec<u8> = rex.into_iter().chain(bytes.iter().copied()).collect();
        self.push_if_defined(&whole);
    }

    /// REP MOVS and the like, of a few elements.
    fn block(&mut self) {
        let count = self.random.below(9) as u32;
        self.set(1, count);
        let mut bytes = vec![self.random.pick(&[0xf3, 0xf3, 0xf2])];
        match self.random.below(4) {
            0 => bytes.insert(0, 0x66),
            1 if self.bits == Bits::B64 => bytes.push(0x48),
            _ => {}
        }
        let byte = self.random.below(2) as u8;
        // MOVS, CMPS, STOS, SCAS, and LODS unless somebody counts in RAX
        let mut opcodes = vec![0xa4, 0xa4, 0xa6, 0xaa, 0xaa, 0xae];
        if !self.roles.keeps(0) {
            opcodes.push(0xac);
        }
        bytes.push(self.random.pick(&opcodes) | byte);
        // Without a count CMPS and SCAS leave the flags, so that these must be defined.
        self.define();
        self.push(&bytes);
    }
}

impl Roles {
    fn draw(bits: Bits, random: &mut Random) -> Self {
        let mut others: Vec<u8> = match bits {
            Bits::B64 => (0..16).collect(),
            Bits::B32 => (0..8).collect(),
        };
        others.retain(|register| !matches!(register, 4 | 6 | 7));
        if bits == Bits::B64 && random.one_in(3) {
            others.retain(|register| EXTRA.contains(register));
        }
        let mut next = || others.swap_remove(random.below(others.len()));
        Self {
            pointers: [6, 7, next()],
            counter: next(),
            small: next(),
        }
    }

    /// Whether a register has a role.
    pub(super) fn keeps(&self, register: u8) -> bool {
        self.counter == register || self.small == register || self.pointers.contains(&register)
    }
}

fn state(bits: Bits, roles: &Roles, calls: bool, random: &mut Random) -> Registers {
    let mut state = registers(random);
    state.rflags &= !x86::flags::DF;
    if bits == Bits::B32 {
        for register in &mut state.gpr {
            *register &= 0xffff_ffff;
        }
        state.gpr[8..].fill(0);
    }
    for pointer in roles.pointers {
        state.gpr[usize::from(pointer)] = target(random);
    }
    state.gpr[usize::from(roles.counter)] = random.below(300) as u64;
    state.gpr[usize::from(roles.small)] = random.below(48) as u64;
    state.gpr[4] = if calls {
        DATA + 0x1c00
    } else {
        target(random) & !7
    };
    if !random.one_in(4) {
        // Every floating-point exception masked, none pending
        let area = &mut state.xsave;
        area[0] |= 0x3f;
        area[2] &= 0x40;
        area[3] &= 0x7f;
        let mxcsr = u32::from_le_bytes([area[24], area[25], area[26], area[27]]) | 0x1f80;
        area[24..28].copy_from_slice(&mxcsr.to_le_bytes());
    }
    state
}

/// Where a pointer points: mostly amid the first page, now and then at a border or at the read-only page.
fn target(random: &mut Random) -> u64 {
    let offset = match random.below(24) {
        0 => PAGE - random.below(64),
        1 => DATA_LEN - random.below(64),
        2 => DATA_LEN + random.below(PAGE),
        3 => DATA_LEN + PAGE - random.below(96),
        4 => random.below(96),
        5..=8 => 256 + random.below(PAGE / 2),
        _ => 256 + random.below(32) * 64,
    };
    DATA + offset as u64
}
