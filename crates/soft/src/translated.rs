//! Hot blocks as host code: when a block is translated, and what happens where translated code is left.
//!
//! Translated code runs what is the same instruction on other registers, and leaves for everything else with exact
//! state: the interpreter executes that one instruction, and code is entered again behind it.

mod code;
mod make;
mod path;

use std::collections::HashMap;

use dbt::{Blocks, Entry, Key, Left, Segmented};
use iced_x86::Mnemonic;
use mem::{Offset, PAGE_SIZE};
use tracing::debug;
use x86::descriptor::SegmentRegister::{Fs, Gs};
use x86::flags;

use crate::block::Block;
use crate::cpu::Cpu;
use crate::engine::Translate;
use crate::exec;
use crate::figure::Translated;
use crate::gate::Basis;
use crate::mode::CodeSize;
use crate::observer::Doing;
use crate::run::{Found, Processor};
use crate::trap::{R, Trap};
pub(crate) use code::{Codes, Decoded};

/// Each time that a page of code is written doubles the runs that its blocks take, up to so many times.
const MOST_CHURN: u8 = 8;

/// So many times the runs a block takes that was translated before, for another address: most of what a program starts
/// with is run seldom, and programs are loaded elsewhere each time.
const AGAIN: u32 = 20;

/// Where keys have the number of the code segment, and how many of them there are.
const CODE_SEGMENT: u32 = 23;
const MOST_SEGMENTS: u64 = 511;
/// No segment has this limit and no number.
const NO_SEGMENT: ((u64, u32), u64) = ((u64::MAX, 0), 0);

/// A vCPU's translated code.
pub(crate) struct Translation {
    pub(crate) blocks: Blocks,
    /// By block number.
    pub(crate) code: Codes,
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
    /// What the gates were set by.
    pub(crate) gates: Basis,
}

impl Translation {
    /// Translation for a vCPU, when it is wanted and the host can do it.
    pub(crate) fn new(cpu: &mut Cpu) -> Option<Self> {
        let threshold = match cpu.shared.translate {
            Translate::Never => return None,
            Translate::After(runs) => runs,
            Translate::InStep(_) => 0,
        };
        if !dbt::is_supported() {
            return None;
        }
        // Where all is translated at once, all of it is tried soon.
        let mut blocks = Blocks::new(&mut cpu.ctx, threshold == 0).ok()?;
        if matches!(cpu.shared.translate, Translate::InStep(_)) {
            blocks.without_paths();
        }
        Some(Self {
            blocks,
            code: Codes::new(),
            threshold,
            segments: HashMap::new(),
            segment: NO_SEGMENT,
            linked: [0; 2],
            left: vec![0; Mnemonic::values().len()].into(),
            gates: Basis::NONE,
        })
    }

    /// Whether a block at a linear address is to be translated, whose page of code was written so many times.
    #[inline(always)]
    pub(crate) fn is_hot(&self, block: &Block, linear: u64, churn: u8) -> bool {
        let churn = 1 << churn.min(MOST_CHURN);
        let elsewhere = match block.made_for {
            Some(made) if made != linear => AGAIN,
            _ => 1,
        };
        block.heat >= self.threshold.saturating_mul(churn.max(elsewhere))
    }

    /// Sees to it that what is linked and what is in the jump table is good for code at `linear`.
    #[inline(always)]
    fn prepare(&mut self, cpu: &Cpu, linear: u64) -> u64 {
        let selected = self.key(cpu, linear);
        self.blocks.select(selected, |key| cpu.mmu.is_live(key));
        if cpu.mode.cpl != 3 {
            self.hold_links(cpu, linear);
        }
        selected
    }

    /// Sees to it that what is linked is good for a supervisor's code at `linear`.
    #[inline(always)]
    pub(crate) fn hold_links(&mut self, cpu: &Cpu, linear: u64) {
        let (half, key) = (cpu.mmu.half(linear), cpu.mmu.key(linear));
        if self.linked[half] != key {
            self.linked[half] = key;
            self.blocks.unlink_far();
        }
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
    fn execute_one(&mut self, code: &Decoded, index: usize) -> R<bool> {
        let start = code.start_of(index);
        self.ctx.gpr[dbt::Context::BASE] = start;
        self.limit = usize::MAX;
        let op = &code.ops[index];
        if let Err(trap) = (op.run)(self, op) {
            if trap != Trap::JUMP {
                self.leave(start, op, trap)?;
            }
            return Ok(false);
        }
        if code.leads(index) {
            let always = [Mnemonic::Jmp, Mnemonic::Call, Mnemonic::Ret];
            if !always.contains(&code.mnemonics[index]) {
                self.rip = self.next_ip(op);
            }
            return Ok(false);
        }
        if code.sets_rip(index) {
            return Ok(false);
        }
        self.rip = self.next_ip(op);
        Ok(!code.ends(index) && self.limit != 0 && !self.attend)
    }
}

impl Processor {
    /// The code for RIP that the jump table has.
    #[inline(always)]
    pub(crate) fn jump_entry(&mut self) -> Option<Entry> {
        let translation = self.translation.as_mut()?;
        translation.prepare(&self.cpu, self.cpu.linear_ip());
        translation.blocks.look_up(self.cpu.rip)
    }

    /// Runs translated code until it comes to code that is not translated, or the processor has to be attended to: the
    /// block that is next, when that was found.
    pub(crate) fn run_from(&mut self, mut entry: Entry) -> R<Option<u32>> {
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
                        return Ok(None);
                    }
                    self.cpu.figures.exits.branches += 1;
                    self.next(site)?
                }
                Some(Left::Sought { target, jump }) => {
                    self.cpu.rip = target;
                    self.cpu.figures.exits.branches += 1;
                    if self.cpu.is_wanted() {
                        return Ok(None);
                    }
                    let flushes = self.flushes();
                    let found = self.sought()?;
                    if let (Found::Translated(block), Some(jump), Some(translation)) =
                        (&found, jump, &mut self.translation)
                        && flushes == translation.blocks.flushes
                    {
                        translation.blocks.learn_late(target, jump, *block);
                    }
                    found
                }
                Some(Left::Unguessed {
                    site,
                    block,
                    op,
                    target,
                }) => {
                    if let Some(translation) = &mut self.translation {
                        let half = self.cpu.mmu.half_of(translation.code.start(block));
                        translation.blocks.guess(site, target, half);
                    }
                    match self.interpret(block, op, op)? {
                        Some(next) => {
                            entry = next;
                            continue;
                        }
                        None => return Ok(None),
                    }
                }
                Some(Left::Elsewhere { site, block, op }) => {
                    self.enter_space(site, block);
                    match self.interpret(block, op, op)? {
                        Some(next) => {
                            entry = next;
                            continue;
                        }
                        None => return Ok(None),
                    }
                }
                Some(Left::Interpret { block, op, last }) => {
                    match self.interpret(block, op, last)? {
                        Some(next) => {
                            entry = next;
                            continue;
                        }
                        None => return Ok(None),
                    }
                }
                Some(Left::Landed) | None => return Ok(None),
            };
            match (next, &self.translation) {
                (Found::Translated(block), Some(translation)) => {
                    entry = translation.blocks.start(block);
                }
                (Found::Decoded(number), _) => return Ok(Some(number)),
                _ => return Ok(None),
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
        translation.set_gates(cpu);
        if !cpu.enter_code() {
            for page in cpu.take_stale_pages() {
                translation.blocks.drop_page(page);
            }
            return None;
        }
        cpu.figures.entered += 1;
        cpu.ctx.system_flags = cpu.flags & !(flags::IF | flags::AC);
        cpu.ctx.alignment = cpu.flags & flags::AC;
        cpu.ctx.interrupts = u64::from(cpu.flags & flags::IF != 0);
        cpu.ctx.waiting = u64::from(cpu.is_interrupt_waiting());
        cpu.lend_x87();
        cpu.ctx.tsc_aux = cpu.msrs.tsc_aux as u32;
        let table = cpu.mmu.base();
        let (shared, offset) = (&cpu.shared, cpu.tsc_offset);
        let clock = || shared.tsc(offset);
        cpu.doing.set(Doing::Code);
        let left = translation.blocks.enter(&mut cpu.ctx, table, &clock, entry);
        cpu.doing.set(Doing::Interpreting);
        if let Some(wandered) = translation.blocks.take_wandered() {
            cpu.mmu.widen(wandered);
        }
        cpu.leave_code();
        cpu.take_back_x87();
        let before = cpu.flags;
        cpu.flags = cpu.ctx.system_flags | cpu.ctx.alignment | cpu.ctx.interrupts << 9;
        if let Some(crossing) = cpu.ctx.gates.crossed() {
            cpu.cross(crossing);
        } else if (before ^ cpu.flags) & flags::AC != 0 {
            cpu.refresh_privilege();
        }
        [cpu.seg[Fs as usize].base, cpu.seg[Gs as usize].base] = cpu.ctx.segment_base;
        cpu.msrs.kernel_gs_base = cpu.ctx.kernel_gs_base;
        Some(left)
    }

    /// A block that lies in several places is to run in another address space: it may where all of them are what they were, as
    /// far as that is cached.
    fn enter_space(&mut self, site: u32, block: u32) {
        let Some(translation) = &mut self.translation else {
            return;
        };
        let pieces = translation.code.path(block);
        if pieces.iter().all(|piece| piece.is_there(&self.cpu)) {
            for piece in pieces {
                self.cpu.mmu.note_code(piece.start);
            }
            translation.blocks.enter_space(site);
        } else if translation.code.doubt(block) {
            translation.blocks.part(block);
        }
    }

    /// Executes instructions of a translated block, mostly one, and tells where the block goes on, if it does.
    fn interpret(&mut self, block: u32, op: u16, last: u16) -> R<Option<Entry>> {
        let Some(translation) = &mut self.translation else {
            return Ok(None);
        };
        let start = translation.code.start(block);
        let key = translation.key(&self.cpu, start);
        let code = translation.code.decoded(self.cpu.mode, block);
        translation.left[code.mnemonics[usize::from(last)] as usize] += 1;
        match translation.blocks.is_foreign(block, last) {
            true => self.cpu.figures.exits.foreign += 1,
            false => self.cpu.figures.exits.slow += 1,
        }
        for op in op..last {
            if !self.cpu.execute_one(code, usize::from(op))? {
                return Ok(None);
            }
        }
        let goes_on = self.cpu.execute_one(code, usize::from(last))?;
        if !goes_on || self.cpu.is_wanted() || translation.key(&self.cpu, start) != key {
            return Ok(None);
        }
        let x87 = self.cpu.x87.is_calm();
        Ok(translation.blocks.resume(block, last + 1, x87))
    }

    /// What is at RIP, to which a direct branch led; it is linked to code.
    fn next(&mut self, site: u32) -> R<Found> {
        let flushes = self.flushes();
        let found = self.sought()?;
        let (Found::Translated(block), Some(translation)) = (found, &mut self.translation) else {
            return Ok(found);
        };
        let wanted = match &mut self.lockstep {
            None => true,
            Some(lockstep) => lockstep.may_link(translation, site, block),
        };
        if wanted && flushes == translation.blocks.flushes {
            translation.blocks.link(site, block);
        }
        Ok(found)
    }

    /// The block at RIP, as translated code if it has or is to have some.
    fn sought(&mut self) -> R<Found> {
        let found = self.find()?;
        let Found::Decoded(number) = found else {
            return Ok(found);
        };
        Ok(self.translated(number).map_or(found, Found::Translated))
    }

    fn flushes(&self) -> u64 {
        self.translation
            .as_ref()
            .map_or(0, |translation| translation.blocks.flushes)
    }

    /// Runs the translation of a block, as [`Processor::run_from`].
    pub(crate) fn run_block(&mut self, block: u32) -> R<Option<u32>> {
        match &self.translation {
            Some(translation) => self.run_from(translation.blocks.start(block)),
            None => Ok(None),
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
            kind: translation.prepare(&self.cpu, linear) as u32 & 0xfff0_00ff,
        };
        let translated = translation.blocks.find(&key)?;
        self.cpu.mmu.note_code(linear);
        if self.lockstep.is_none() {
            translation.blocks.learn(self.cpu.rip, translated);
        }
        Some(translated)
    }

    /// The translation of the block at RIP, made now if it is hot.
    pub(crate) fn translated(&mut self, number: u32) -> Option<u32> {
        let translation = self.translation.as_mut()?;
        let block = self.blocks.get(number);
        let churn = self.cpu.ram.flags().churn(block.code.0.page());
        if !translation.is_hot(block, self.cpu.linear_ip(), churn) {
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
            kind: translation.prepare(&self.cpu, self.cpu.linear_ip()) as u32 & 0xfff0_00ff,
        };
        let translated = match translation.blocks.find(&key) {
            Some(translated) => translated,
            None => {
                self.cpu.doing.set(Doing::Translating);
                let made = translation.make(&self.cpu, block, key);
                self.cpu.doing.set(Doing::Interpreting);
                let made = made?;
                self.cpu.mmu.reserve_sites(translation.blocks.accesses());
                if !dbt::may_cross(self.cpu.linear_ip()) {
                    // It is found by its place from now on.
                    self.blocks.get_mut(number).cool(self.cpu.linear_ip());
                    self.blocks.unlearn(self.cpu.linear_ip());
                }
                made
            }
        };
        if self.lockstep.is_none() {
            translation.blocks.learn(rip, translated);
        }
        if !dbt::may_cross(self.cpu.linear_ip()) {
            // From now on it is found by its place.
            self.blocks.release(number);
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
            hot: self.blocks.hot,
            paths: self.blocks.several,
            bytes: self.blocks.used() as u64,
            beside: (self.blocks.beside() + self.code.size()) as u64,
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
}
