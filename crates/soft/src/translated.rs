//! Hot blocks as host code: when a block is translated, and what happens where translated code is left.
//!
//! Translated code runs what is the same instruction on other registers, and leaves for everything else with exact
//! state: the interpreter executes that one instruction, and code is entered again behind it.

use std::collections::HashMap;
use std::sync::Arc;

use dbt::{Blocks, Entry, Guest, Key, Left, Segmented};
use iced_x86::{Decoder, DecoderOptions, EncodingKind, Mnemonic};
use mem::{Offset, PAGE_SIZE};
use tracing::debug;
use x86::descriptor::SegmentRegister::{Fs, Gs};
use x86::flags;

use crate::block::{Block, Op};
use crate::cpu::Cpu;
use crate::engine::Translate;
use crate::exec;
use crate::figure::Translated;
use crate::mode::CodeSize;
use crate::observer::Doing;
use crate::run::Processor;
use crate::trap::{R, Trap};

/// Each time that a page of code is written makes its blocks count half as hot, up to so many times.
const MOST_CHURN: u8 = 8;

/// Where keys have the number of the code segment, and how many of them there are.
const CODE_SEGMENT: u32 = 23;
const MOST_SEGMENTS: u64 = 511;
/// No segment has this limit and no number.
const NO_SEGMENT: ((u64, u32), u64) = ((u64::MAX, 0), 0);

/// A vCPU's translated code.
pub(crate) struct Translation {
    pub(crate) blocks: Blocks,
    /// By block number.
    pub(crate) code: Vec<Code>,
    /// Runs until a block is translated.
    threshold: u32,
    /// Numbers of code segments by base and limit, of those whose offsets are not linear addresses.
    segments: HashMap<(u64, u32), u64>,
    /// The last one.
    segment: ((u64, u32), u64),
    /// Keys of the halves of the linear space under which branches to other pages were linked.
    linked: [u64; 2],
    /// Instructions left to the interpreter, by mnemonic.
    left: Box<[u64]>,
}

/// What a translated block was made from.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) ops: Arc<[Op]>,
    pub(crate) mnemonics: Arc<[Mnemonic]>,
    pub(crate) branches: bool,
    pub(crate) start: u64,
    /// Where that lies in RAM.
    pub(crate) place: Offset,
    /// Some instruction uses x87 or MMX registers.
    pub(crate) x87: bool,
}

impl Translation {
    /// Translation for a vCPU, when it is wanted and the host can do it.
    pub(crate) fn new(cpu: &mut Cpu) -> Option<Self> {
        let threshold = match cpu.shared.translate {
            Translate::Never => return None,
            Translate::After(runs) => runs.saturating_add(1),
            Translate::InStep(_) => 0,
        };
        if !dbt::is_supported() {
            return None;
        }
        let blocks = Blocks::new(&mut cpu.ctx).ok()?;
        Some(Self {
            blocks,
            code: Vec::new(),
            threshold,
            segments: HashMap::new(),
            segment: NO_SEGMENT,
            linked: [0; 2],
            left: vec![0; Mnemonic::values().len()].into(),
        })
    }

    /// Whether a block that was run `heat` times is to be translated.
    #[inline(always)]
    pub(crate) fn is_hot(&self, heat: u32) -> bool {
        heat >= self.threshold
    }

    /// Sees to it that what is linked and what is in the jump table is good for code at `linear`.
    #[inline(always)]
    fn prepare(&mut self, cpu: &Cpu, linear: u64) -> u64 {
        let selected = self.key(cpu, linear);
        self.blocks.select(selected);
        let (half, key) = (cpu.mmu.half(linear), cpu.mmu.key(linear));
        if cpu.mode.cpl != 3 && self.linked[half] != key {
            self.linked[half] = key;
            self.blocks.unlink_far();
        }
        selected
    }

    /// What a linear address of translated code leads to depends on this.
    #[inline(always)]
    fn key(&mut self, cpu: &Cpu, linear: u64) -> u64 {
        let key = cpu.block_key(linear) | u64::from(exec::open_gates(cpu)) << 20;
        match cpu.is_segmented() {
            true => key | self.code_segment(cpu) << CODE_SEGMENT,
            false => key,
        }
    }

    /// The number of the running code segment.
    fn code_segment(&mut self, cpu: &Cpu) -> u64 {
        let code = (cpu.seg[1].base, cpu.seg[1].limit);
        if self.segment.0 == code {
            return self.segment.1;
        }
        if self.segments.len() as u64 == MOST_SEGMENTS {
            self.forget();
        }
        let next = self.segments.len() as u64 + 1;
        let number = *self.segments.entry(code).or_insert(next);
        self.segment = (code, number);
        number
    }
}

impl Cpu {
    /// How the offsets of the running code become linear addresses, where they are none.
    fn segmented(&self) -> Option<Segmented> {
        let code = &self.seg[1];
        self.is_segmented().then(|| Segmented {
            base: code.base,
            limit: u64::from(code.limit),
            big_stack: self.mode.stack_mask > 0xffff,
        })
    }

    /// Whether the block at RIP may be translated: all of it lies inside CS, and where it crosses into another page,
    /// [`Mmu::key`](crate::mmu::Mmu::key) of one tells what happens to either.
    fn can_translate(&self, block: &Block) -> bool {
        if self.is_segmented() {
            let limit = u64::from(self.seg[1].limit);
            let last = block.bytes.len() as u64 - 1;
            return block.second.is_none() && self.rip <= limit && last <= limit - self.rip;
        }
        let half = |linear| self.mmu.half(linear);
        block.second.is_none() || half(self.rip) == half(self.rip.wrapping_add(PAGE_SIZE))
    }

    /// Whether offsets of the running code are not linear addresses.
    #[inline(always)]
    fn is_segmented(&self) -> bool {
        match self.mode.code {
            CodeSize::Bits64 => false,
            CodeSize::Bits32 => !self.mode.flat || self.mode.stack_mask != 0xffff_ffff,
            CodeSize::Bits16 => true,
        }
    }

    /// Executes one instruction of a block that is entered in the middle; false when the block was left.
    fn execute_one(&mut self, code: &Code, index: usize) -> R<bool> {
        self.ctx.gpr[dbt::Context::BASE] = code.start;
        self.limit = usize::MAX;
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
        let linear = self.cpu.linear_ip();
        translation.prepare(&self.cpu, linear);
        match translation.blocks.look_up(self.cpu.rip) {
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
            let left = match self.lockstep {
                None => self.run_code(entry),
                Some(_) => self.run_in_step(entry)?,
            };
            let next = match left {
                Some(Left::Jump { site, target }) => {
                    self.cpu.rip = target;
                    if self.cpu.is_wanted() {
                        self.cpu.figures.exits.wanted += 1;
                        return Ok(());
                    }
                    self.cpu.figures.exits.branches += 1;
                    self.next(site)?
                }
                Some(Left::Sought { target }) => {
                    self.cpu.rip = target;
                    self.cpu.figures.exits.branches += 1;
                    if self.cpu.is_wanted() {
                        return Ok(());
                    }
                    match (self.sought()?, &self.translation) {
                        (Some(block), Some(translation)) => Some(translation.blocks.start(block)),
                        _ => None,
                    }
                }
                Some(Left::Interpret { block, op }) => self.interpret(block, op)?,
                Some(Left::Landed) | None => None,
            };
            match next {
                Some(next) => entry = next,
                None => return Ok(()),
            }
        }
    }

    /// Runs translated code until it leaves.
    #[inline(always)]
    pub(crate) fn run_code(&mut self, entry: Entry) -> Option<Left> {
        let translation = self.translation.as_mut()?;
        let cpu = &mut self.cpu;
        cpu.ctx.segment_base = [cpu.seg[Fs as usize].base, cpu.seg[Gs as usize].base];
        cpu.ctx.kernel_gs_base = cpu.msrs.kernel_gs_base;
        if !cpu.mode.is_64bit() {
            cpu.open_windows();
        }
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
        cpu.doing.set(Doing::Code);
        let left = translation.blocks.enter(&mut cpu.ctx, table, entry);
        cpu.doing.set(Doing::Interpreting);
        cpu.leave_code();
        cpu.flags = cpu.ctx.system_flags | cpu.ctx.interrupts << 9;
        cpu.seg[Gs as usize].base = cpu.ctx.segment_base[1];
        cpu.msrs.kernel_gs_base = cpu.ctx.kernel_gs_base;
        cpu.take_back_x87();
        Some(left)
    }

    /// Executes an instruction of a translated block, and tells where the block goes on, if it does.
    fn interpret(&mut self, block: u32, op: u16) -> R<Option<Entry>> {
        let Some(translation) = &mut self.translation else {
            return Ok(None);
        };
        let start = translation.code[block as usize].start;
        let key = translation.key(&self.cpu, start);
        let code = &translation.code[block as usize];
        translation.left[code.mnemonics[usize::from(op)] as usize] += 1;
        match translation.blocks.is_foreign(block, op) {
            true => self.cpu.figures.exits.foreign += 1,
            false => self.cpu.figures.exits.slow += 1,
        }
        let goes_on = self.cpu.execute_one(code, usize::from(op))?;
        if !goes_on || self.cpu.is_wanted() || translation.key(&self.cpu, start) != key {
            return Ok(None);
        }
        let x87 = self.cpu.x87.is_calm();
        Ok(translation.blocks.resume(block, op + 1, x87))
    }

    /// The code for RIP, to which a direct branch led; it is linked.
    fn next(&mut self, site: u32) -> R<Option<Entry>> {
        let flushes = self.flushes();
        let Some(block) = self.sought()? else {
            return Ok(None);
        };
        let Some(translation) = &mut self.translation else {
            return Ok(None);
        };
        let wanted = match &mut self.lockstep {
            None => true,
            Some(lockstep) => lockstep.may_link(translation, site, block),
        };
        if wanted && flushes == translation.blocks.flushes {
            translation.blocks.link(site, block);
        }
        Ok(Some(translation.blocks.start(block)))
    }

    /// The translation of the block at RIP, if it has or is to have one.
    fn sought(&mut self) -> R<Option<u32>> {
        match self.known()? {
            Some(block) => Ok(Some(block)),
            None => {
                let number = self.lookup()?;
                Ok(self.translated(number))
            }
        }
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
        self.run_block(block)?;
        Ok(true)
    }

    /// Runs the translation of a block.
    pub(crate) fn run_block(&mut self, block: u32) -> R {
        match &self.translation {
            Some(translation) => self.run_from(translation.blocks.start(block)),
            None => Ok(()),
        }
    }

    /// The translation of the block at RIP, which lies at `place`, when there is one.
    pub(crate) fn known_translation(&mut self, place: Offset) -> Option<u32> {
        let translation = self.translation.as_mut()?;
        let linear = self.cpu.linear_ip();
        if dbt::may_cross(linear) {
            // The second page is not looked for here.
            return None;
        }
        let key = Key {
            linear: self.cpu.rip,
            place: place.0,
            second: None,
            kind: translation.prepare(&self.cpu, linear) & 0xfff0_00ff,
        };
        let translated = translation.blocks.find(&key)?;
        self.cpu.mmu.note_code(linear);
        if self.lockstep.is_none() {
            translation.blocks.learn(self.cpu.rip, translated);
        }
        Some(translated)
    }

    /// The translation of the block at RIP, made now if it is hot.
    fn translated(&mut self, number: u32) -> Option<u32> {
        let translation = self.translation.as_mut()?;
        let block = self.blocks.get(number);
        let churn = self.cpu.ram.flags().churn(block.code.0.page());
        if !translation.is_hot(block.heat >> churn.min(MOST_CHURN)) {
            return None;
        }
        if block.checks || !self.cpu.can_translate(block) {
            return None;
        }
        let rip = self.cpu.rip;
        let key = Key {
            linear: rip,
            place: block.code.0.0,
            second: block.second.map(|(at, _)| at.0),
            kind: translation.prepare(&self.cpu, self.cpu.linear_ip()) & 0xfff0_00ff,
        };
        let translated = match translation.blocks.find(&key) {
            Some(translated) => translated,
            None => {
                self.cpu.doing.set(Doing::Translating);
                let made = translation.make(&self.cpu, block, key);
                self.cpu.doing.set(Doing::Interpreting);
                made?
            }
        };
        if self.lockstep.is_none() {
            translation.blocks.learn(rip, translated);
        }
        Some(translated)
    }
}

impl Translation {
    /// Drops all code.
    pub(crate) fn forget(&mut self) {
        self.blocks.flush();
        self.code.clear();
        self.segments.clear();
        self.segment = NO_SEGMENT;
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
        let mut guests = guests(cpu, block);
        if matches!(cpu.shared.translate, Translate::InStep(_)) {
            // What is never the same twice is executed once, and what changes what is not compared.
            let elsewhere = [Mnemonic::Rdrand, Mnemonic::Rdseed, Mnemonic::Swapgs];
            for guest in &mut guests {
                guest.native &= !elsewhere.contains(&guest.instruction.mnemonic());
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
            turns: !matches!(cpu.shared.translate, Translate::InStep(_)),
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
            place: block.code.0,
            x87: guests.iter().any(|g| exec::touches_x87(&g.instruction)),
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
                && (cpu.mode.has_vex() || instruction.code().encoding() != EncodingKind::VEX)
                && exec::is_open(cpu, &instruction);
            Guest {
                instruction,
                native,
            }
        })
        .collect()
}
