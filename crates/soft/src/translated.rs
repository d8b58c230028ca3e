//! Hot blocks as host code: when a block is translated, and what happens where translated code is left.
//!
//! Translated code runs what is the same instruction on other registers, and leaves for everything else with exact
//! state: the interpreter executes that one instruction, and code is entered again behind it.

use std::sync::Arc;

use dbt::{Blocks, Entry, Guest, Key, Left};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use tracing::debug;
use x86::descriptor::SegmentRegister::{Fs, Gs};
use x86::flags;

use crate::block::{Block, Op};
use crate::cpu::Cpu;
use crate::engine::Translate;
use crate::exec;
use crate::figure::Translated;
use crate::mode::CodeSize;
use crate::run::Processor;
use crate::trap::{R, Trap};

/// Each time that a page of code is written makes its blocks count half as hot, up to so many times.
const MOST_CHURN: u8 = 8;

/// A vCPU's translated code.
pub(crate) struct Translation {
    pub(crate) blocks: Blocks,
    /// By block number.
    code: Vec<Code>,
    /// Runs after which a block is translated.
    threshold: u32,
    /// Keys of the halves of the linear space under which branches to other pages were linked.
    linked: [u64; 2],
    /// Instructions left to the interpreter, by mnemonic.
    left: Box<[u64]>,
}

/// What a translated block was made from.
#[derive(Clone)]
struct Code {
    ops: Arc<[Op]>,
    mnemonics: Arc<[Mnemonic]>,
    branches: bool,
    start: u64,
}

impl Translation {
    /// Translation for a vCPU, when it is wanted and the host can do it.
    pub(crate) fn new(cpu: &mut Cpu) -> Option<Self> {
        let Translate::After(threshold) = cpu.shared.translate else {
            return None;
        };
        if !dbt::is_supported() {
            return None;
        }
        let blocks = Blocks::new(&mut cpu.ctx, cpu.inbox.clone()).ok()?;
        Some(Self {
            blocks,
            code: Vec::new(),
            threshold,
            linked: [0; 2],
            left: vec![0; Mnemonic::values().len()].into(),
        })
    }

    /// Whether a block that was run `heat` times is to be translated.
    #[inline(always)]
    pub(crate) fn is_hot(&self, heat: u32) -> bool {
        heat > self.threshold
    }

    /// Sees to it that what is linked and what is in the jump table is good for code at `linear`.
    #[inline(always)]
    fn prepare(&mut self, cpu: &Cpu, linear: u64) {
        self.blocks.select(cpu.translation_key(linear));
        let (half, key) = (cpu.mmu.half(linear), cpu.mmu.key(linear));
        if cpu.mode.cpl != 3 && self.linked[half] != key {
            self.linked[half] = key;
            self.blocks.unlink_far();
        }
    }
}

impl Cpu {
    /// What a linear address of translated code leads to depends on this.
    #[inline(always)]
    fn translation_key(&self, linear: u64) -> u64 {
        self.block_key(linear) | u64::from(exec::open_gates(self)) << 20
    }

    /// Whether code of the running mode is translated.
    #[inline(always)]
    fn is_translatable(&self) -> bool {
        match self.mode.code {
            CodeSize::Bits64 => true,
            CodeSize::Bits32 => self.mode.flat && self.mode.stack_mask == 0xffff_ffff,
            CodeSize::Bits16 => false,
        }
    }

    /// Executes one instruction of a block that is entered in the middle; false when the block was left.
    fn execute_one(&mut self, code: &Code, index: usize) -> R<bool> {
        self.ctx.gpr[dbt::Context::BASE] = code.start;
        self.limit = usize::MAX;
        self.figures.left += 1;
        let op = &code.ops[index];
        if let Err(trap) = (op.run)(self, op) {
            if trap != Trap::JUMP {
                self.leave(code.start, op, trap)?;
            }
            return Ok(false);
        }
        let last = index + 1 == code.ops.len();
        if last && code.branches {
            return Ok(false);
        }
        self.rip = self.next_ip(op);
        Ok(self.limit != 0 && !self.attend)
    }
}

impl Processor {
    /// Runs translated code from RIP on, if there is some: whether there was.
    #[inline(always)]
    pub(crate) fn run_translated(&mut self) -> R<bool> {
        let Some(translation) = &mut self.translation else {
            return Ok(false);
        };
        if !self.cpu.is_translatable() {
            return Ok(false);
        }
        let linear = self.cpu.rip;
        translation.prepare(&self.cpu, linear);
        match translation.blocks.look_up(linear) {
            Some(entry) => {
                self.run_from(entry)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Runs translated code until it comes to code that is not translated, or the processor has to be attended to.
    fn run_from(&mut self, mut entry: Entry) -> R {
        loop {
            let next = match self.run_code(entry) {
                Some(Left::Jump { site, target }) => {
                    self.cpu.rip = target;
                    if self.cpu.is_wanted() {
                        return Ok(());
                    }
                    self.next(site)?
                }
                Some(Left::Interpret { block, op }) => self.interpret(block, op)?,
                None => None,
            };
            match next {
                Some(next) => entry = next,
                None => return Ok(()),
            }
        }
    }

    /// Runs translated code until it leaves.
    #[inline(always)]
    fn run_code(&mut self, entry: Entry) -> Option<Left> {
        let translation = self.translation.as_mut()?;
        let cpu = &mut self.cpu;
        cpu.ctx.segment_base = [cpu.seg[Fs as usize].base, cpu.seg[Gs as usize].base];
        if !cpu.enter_code() {
            for page in cpu.take_stale_pages() {
                translation.blocks.drop_page(page);
            }
            return None;
        }
        cpu.figures.entered += 1;
        cpu.ctx.system_flags = cpu.flags & !flags::IF;
        cpu.ctx.interrupts = u64::from(cpu.flags & flags::IF != 0);
        cpu.ctx.waiting = u64::from(cpu.is_interrupt_waiting());
        cpu.lend_x87();
        let table = cpu.mmu.base();
        let left = translation.blocks.enter(&mut cpu.ctx, table, entry);
        cpu.leave_code();
        cpu.flags = cpu.ctx.system_flags | cpu.ctx.interrupts << 9;
        cpu.take_back_x87();
        Some(left)
    }

    /// Executes an instruction of a translated block, and tells where the block goes on, if it does.
    fn interpret(&mut self, block: u32, op: u16) -> R<Option<Entry>> {
        let Some(translation) = &mut self.translation else {
            return Ok(None);
        };
        let code = translation.code[block as usize].clone();
        let key = self.cpu.translation_key(code.start);
        translation.left[code.mnemonics[usize::from(op)] as usize] += 1;
        let goes_on = self.cpu.execute_one(&code, usize::from(op))?;
        if !goes_on || self.cpu.is_wanted() || self.cpu.translation_key(code.start) != key {
            return Ok(None);
        }
        let x87 = self.cpu.x87.is_calm();
        Ok(translation.blocks.resume(block, op + 1, x87))
    }

    /// The code for RIP, to which a direct branch led; it is linked.
    fn next(&mut self, site: u32) -> R<Option<Entry>> {
        let number = self.lookup()?;
        let flushes = self.flushes();
        let Some(block) = self.translated(number) else {
            return Ok(None);
        };
        let Some(translation) = &mut self.translation else {
            return Ok(None);
        };
        if flushes == translation.blocks.flushes {
            translation.blocks.link(site, block);
        }
        Ok(Some(translation.blocks.start(block)))
    }

    fn flushes(&self) -> u64 {
        self.translation
            .as_ref()
            .map_or(0, |translation| translation.blocks.flushes)
    }

    /// Runs the translation of a block, if it has or is to have one: whether it has.
    pub(crate) fn run_hot(&mut self, number: u32) -> R<bool> {
        let Some(block) = self.translated(number) else {
            return Ok(false);
        };
        let Some(translation) = &mut self.translation else {
            return Ok(false);
        };
        let entry = translation.blocks.start(block);
        self.run_from(entry)?;
        Ok(true)
    }

    /// The translation of the block at RIP, made now if it is hot.
    fn translated(&mut self, number: u32) -> Option<u32> {
        let translation = self.translation.as_mut()?;
        let block = self.blocks.get(number);
        let churn = self.cpu.ram.flags().churn(block.code.0.page());
        if !translation.is_hot(block.heat >> churn.min(MOST_CHURN)) || !self.cpu.is_translatable() {
            return None;
        }
        if block.second.is_some() || block.checks {
            // Links within a page outlive changes of where the next page lies; the interpreter looks for breakpoints.
            return None;
        }
        let linear = self.cpu.rip;
        translation.prepare(&self.cpu, linear);
        let key = Key {
            linear,
            place: block.code.0.0,
            kind: self.cpu.translation_key(linear) & 0xfff0_00ff,
        };
        let found = translation.blocks.find(&key);
        let translated = match found {
            Some(translated) => translated,
            None => translation.make(&self.cpu, block, key)?,
        };
        translation.blocks.learn(linear, translated);
        Some(translated)
    }
}

impl Translation {
    /// Drops all code.
    pub(crate) fn forget(&mut self) {
        self.blocks.flush();
        self.code.clear();
    }

    /// What it has counted.
    pub(crate) fn figures(&self) -> Translated {
        Translated {
            blocks: self.blocks.made,
            bytes: self.blocks.used() as u64,
            full: self.blocks.flushes,
            linked: self.blocks.linked,
        }
    }

    /// Logs which instructions were left to the interpreter most often.
    pub(crate) fn log_left(&self) {
        let mut counts: Vec<_> = Mnemonic::values()
            .map(|mnemonic| (self.left[mnemonic as usize], mnemonic))
            .filter(|(count, _)| *count > 0)
            .collect();
        counts.sort_unstable_by_key(|(count, _)| std::cmp::Reverse(*count));
        for (count, mnemonic) in counts.iter().take(40) {
            debug!("left to the interpreter: {mnemonic:?} {count}");
        }
    }

    /// Translates a block.
    fn make(&mut self, cpu: &Cpu, block: &Block, key: Key) -> Option<u32> {
        if !self.blocks.has_room() {
            self.forget();
        }
        let pieces = [Some(block.code), block.second];
        let held = pieces
            .iter()
            .flatten()
            .all(|(at, version)| cpu.hold_code(at.page(), *version));
        if !held {
            return None;
        }
        let guests = guests(cpu, block);
        let wide = cpu.mode.is_64bit();
        let supervisor = cpu.mode.cpl != 3;
        let source = dbt::Source {
            linear: key.linear,
            wide,
            supervisor: cpu.mode.cpl == 0,
            far: supervisor.then(|| cpu.mmu.half_of(key.linear)),
            guests: &guests,
        };
        let pages: Vec<u64> = pieces.iter().flatten().map(|(at, _)| at.page()).collect();
        let number = self.blocks.add(key, source, &pages);
        debug_assert_eq!(number as usize, self.code.len());
        self.code.push(Code {
            ops: block.ops.clone(),
            mnemonics: guests.iter().map(|g| g.instruction.mnemonic()).collect(),
            branches: block.branches,
            start: key.linear,
        });
        Some(number)
    }
}

/// A block's instructions, and which of them may run as themselves.
fn guests(cpu: &Cpu, block: &Block) -> Vec<Guest> {
    let options = DecoderOptions::FORCE_RESERVED_NOP;
    let bits = cpu.mode.code.bits();
    let mut decoder = Decoder::with_ip(bits, &block.bytes, 0, options);
    block
        .ops
        .iter()
        .map(|_| {
            let instruction = decoder.decode();
            let native = !instruction.is_invalid()
                && exec::claims(&instruction)
                && exec::is_open(cpu, &instruction);
            Guest {
                instruction,
                native,
            }
        })
        .collect()
}
