//! Blocks of guest instructions to host code.
//!
//! A block becomes the same instructions on other registers. What is not a fast path leaves the code by an *exit*,
//! with all of the guest's state exact, and names the instruction that somebody else must execute; code is entered
//! again behind it.
//!
//! ```text
//!   source     a block's instructions, and where they lie
//!   made       what a block becomes, and where that will be
//!   plan       how a block is translated, and how instead where that was wrong
//!   register   where guest registers live
//!   writer     bytes, labels, and the fixed sequences
//!   uses       what instructions do with general registers and memory
//!   flags      what instructions do with the arithmetic flags
//!   vector     which vector instructions raise no exceptions
//!   deferred   flags that are made again when somebody wants them
//!   probe      memory operands: effective address, TLB probe
//!   known      accesses by the stack pointer that need no probe again
//!   region     accesses that share a probe
//!   borrow     host addresses in homes of guest registers
//!   stream     loops that step through pages
//!   rewrite    an instruction on other registers
//!   resident   instructions on guest registers that live in the context
//!   implicit   instructions with registers of their own choice
//!   system     RFLAGS as a whole, IF, DF, AC, CR2, the bases of GS, PAUSE
//!   segment    selectors, the bases of FS and GS
//!   gate       SYSCALL, SYSRET
//!   iret       IRET
//!   tsc        RDTSC, RDTSCP
//!   string     MOVS, STOS, LODS, CMPS, SCAS
//!   x87        x87 and MMX
//!   stack      PUSH, POP, LEAVE, CALL, RET
//!   branch     ways out of a block
//!   inside     branches that lead to the block's next instruction
//!   side       what conditional branches lead to that comes back to the block's start
//!   late       flags that only code makes which looks at them
//!   guess      indirect branches that are linked to one target
//!   returns    calls that are remembered, returns to them
//!   poll       looks whether the vCPU is wanted
//!   cold       what is run seldom, behind the block
//!   thunk      code around blocks: entering, leaving, vector registers
//! ```

mod borrow;
mod branch;
mod cmpxchg;
mod cold;
mod deferred;
mod exchange;
mod exit;
mod flags;
mod gate;
mod guess;
mod implicit;
mod inside;
mod iret;
mod known;
mod late;
mod made;
mod plan;
mod poll;
mod probe;
mod region;
mod register;
mod resident;
mod returns;
mod rewrite;
mod scratch;
mod segment;
mod side;
mod source;
mod stack;
mod stream;
pub(crate) mod string;
mod system;
pub(crate) mod thunk;
mod tsc;
mod uses;
mod vector;
mod writer;
mod x87;

use iced_x86::{FlowControl, InstructionInfoFactory};

use crate::Context;
use crate::tlb::Counts;

pub(crate) use branch::{Detour, Far, Inside, Link};
use cold::{Cold, Interpret};
pub(crate) use exchange::Exchange;
pub(crate) use exit::{MOST_BLOCKS, instruction_of, jump_of};
pub(crate) use flags::State;
pub(crate) use guess::{Guess, SPACE};
pub(crate) use made::{Frame, Jump, Mark, Translated};
use plan::Plan;
pub(crate) use plan::{History, Hot, block};
pub(crate) use scratch::Scratch;
pub use source::{Guest, Segmented, Side, Source};
pub(crate) use stream::ADDRESSES as MOST_SPILLED;
use uses::Uses;
pub(crate) use writer::{GUESS, GUESSED, UNGUESSED};
use writer::{Label, Writer};

/// A block in the making.
struct Translator<'a> {
    source: Source<'a>,
    plan: Plan,
    /// Somebody wanted flags that are nowhere: how the block is to be translated instead.
    instead: Option<Plan>,
    frame: Frame,
    out: Writer,
    state: State,
    /// How the flags can be made again.
    redo: Option<deferred::Redo>,
    /// The same behind the present instruction, where that is done without the flags before it.
    counted: Option<deferred::Redo>,
    /// The instruction being translated, of those in the source.
    op: usize,
    /// The side that it belongs to.
    side: Option<usize>,
    sides: &'a [side::Led],
    /// The first of the instructions that leads to another page, if one does.
    crossing: Option<usize>,
    /// Those that were come to.
    forks: Vec<side::Fork>,
    /// What is still to be added to the stack pointer.
    stack_moves: i32,
    /// Bytes of what it pushes or pops.
    slot: u32,
    marks: Vec<Mark>,
    jumps: Vec<Jump>,
    /// See [`Translated::foreign`].
    foreign: u64,
    /// See [`Translated::earlier`].
    earlier: u64,
    /// Instructions that may be left to others, and how the flags before them are made again.
    lefts: Vec<(usize, Option<deferred::Redo>)>,
    /// Code that is run seldom, put behind the block.
    cold: Vec<Cold>,
    /// Accesses that have entries of their own in the TLB.
    accesses: Counts,
    uses: &'a [Uses],
    info: InstructionInfoFactory,
    vectors: bool,
    x87: bool,
    /// The x87 instruction pointer, where the one in the context is older.
    x87_ip: Option<u64>,
    region: Option<region::Region>,
    /// Calls inside the block that have not returned.
    called: Vec<inside::Called>,
    /// Ranges of the stack that were probed.
    known: known::Stack,
    /// The homes that hold host addresses now.
    borrowed: borrow::Borrowed,
    /// The group of the run whose range is in RCX.
    held: u8,
    /// Where the copy of the present run comes back.
    region_back: Option<Label>,
    /// Where things are behind each run, once it is known.
    ends: Vec<Option<cold::End>>,
    /// Whether runs are looked for.
    merge: bool,
    /// The block's second body, whether that is being written, and whether it was.
    stream: Option<stream::Stream>,
    streaming: bool,
    streamed: bool,
    /// Where its first body begins, with the flags in the context.
    saved_entry: Label,
    /// Where those who come to the block come to the second one, if they do.
    way_in: Option<Label>,
    /// Whether each way through the block looks at the vCPU's attention before its last instruction.
    polled: bool,
}

/// Translates a block by a plan, or tells by which else.
fn attempt<'a>(
    source: Source<'a>,
    uses: &'a [Uses],
    sides: &'a [side::Led],
    frame: Frame,
    plan: Plan,
    scratch: &mut Scratch,
) -> Result<Translated, Plan> {
    let Scratch {
        paper,
        mut marks,
        mut jumps,
        mut cold,
    } = std::mem::take(scratch);
    marks.clear();
    jumps.clear();
    cold.clear();
    let mut out = Writer::on(paper, frame.base, frame.context);
    let saved_entry = out.label_at(0);
    let several = source.is_several();
    let translator = Translator {
        source,
        plan,
        instead: None,
        frame,
        out,
        state: State::Saved,
        redo: None,
        counted: None,
        op: 0,
        side: None,
        sides,
        crossing: several
            .then(|| side::crossing_of(source.linear, source.guests))
            .flatten(),
        forks: Vec::new(),
        stack_moves: 0,
        slot: if source.wide { 8 } else { 4 },
        marks,
        jumps,
        foreign: 0,
        earlier: 0,
        lefts: Vec::new(),
        cold,
        accesses: frame.accesses,
        uses,
        info: InstructionInfoFactory::new(),
        vectors: false,
        x87: false,
        x87_ip: None,
        region: None,
        called: Vec::new(),
        known: known::Stack::default(),
        borrowed: borrow::Borrowed::default(),
        held: 0,
        region_back: None,
        ends: Vec::new(),
        merge: true,
        stream: None,
        streaming: false,
        streamed: false,
        saved_entry,
        way_in: None,
        polled: false,
    };
    translator.translate(scratch)
}

impl Translator<'_> {
    fn translate(mut self, scratch: &mut Scratch) -> Result<Translated, Plan> {
        let (entry_host, entry_saved) = self.enter();
        self.saved_entry = self.out.label_at(entry_saved + self.plan.exchange.bytes());
        self.stream = self.find_stream();
        self.enter_stream();
        let switches = self.switches();
        let several = self.source.is_several();
        self.instructions(0);
        self.write_sides();
        let streams = self.close_way_in();
        let code = self.out.finish();
        scratch.cold = self.cold;
        scratch.paper = self.out.paper();
        match self.instead {
            Some(instead) => {
                scratch.paper.code = code;
                scratch.marks = self.marks;
                scratch.jumps = self.jumps;
                Err(instead)
            }
            None => Ok(Translated {
                code,
                entry_host,
                entry_saved,
                marks: self.marks,
                jumps: self.jumps,
                foreign: self.foreign,
                earlier: self.earlier,
                exchange: self.plan.exchange,
                accesses: self.accesses,
                switches,
                several,
                streams,
            }),
        }
    }

    /// Translates the instructions from a number on, and what is run seldom of them.
    fn instructions(&mut self, first: usize) {
        let polls = self.source.turns && self.stream.is_none() && self.may_close_loop();
        let mut open = true;
        for op in first..self.source.guests.len() {
            self.op = op;
            self.end_region();
            if polls && !self.polled {
                self.poll();
            }
            self.mark(!self.in_region());
            self.end_x87_run();
            self.look_at_space();
            self.begin_region();
            open = self.instruction();
        }
        self.op = self.source.guests.len();
        if open {
            self.end_region();
            self.mark(true);
            self.flush_x87_ip();
            self.go(self.end());
        }
        self.region = None;
        self.merge = false;
        self.write_cold();
    }

    /// Begins the code with a way in for each place where the flags may be; the one that suits the block goes straight
    /// to its body.
    fn enter(&mut self) -> (u32, u32) {
        let (convert, state): (fn(&mut Writer), _) = match self.plan.wanted {
            flags::Wanted::Nothing => {
                self.state = State::Nowhere;
                self.exchange();
                return (0, 0);
            }
            flags::Wanted::Saved => (Writer::save_flags, State::Saved),
            flags::Wanted::Host => (Writer::restore_flags, State::Host),
        };
        self.state = state;
        let (suiting, other) = if self.plan.exchange == Exchange::NONE {
            convert(&mut self.out);
            (self.out.len(), 0)
        } else {
            // Loops come in by the other one.
            let body = self.out.label();
            self.exchange();
            self.out.jump(body);
            let other = self.out.len();
            self.exchange();
            convert(&mut self.out);
            self.out.bind(body);
            (0, other)
        };
        match state {
            State::Host => (suiting, other),
            _ => (other, suiting),
        }
    }

    /// Where the guest goes on behind the block.
    fn end(&self) -> u64 {
        let last = self.source.guests.last();
        let end = last.filter(|guest| !guest.inside);
        self.address(end.map_or(0, |guest| guest.instruction.next_ip()))
    }

    /// From an offset in the block to RIP.
    fn address(&self, offset: u64) -> u64 {
        let address = self.source.linear.wrapping_add(offset);
        if self.source.wide {
            address
        } else {
            address & 0xffff_ffff
        }
    }

    fn mark(&mut self, entry: bool) {
        self.marks.push(Mark {
            at: self.out.len(),
            op: self.number(self.op) as u16,
            saved: self.state.is_saved(),
            entry,
            vectors: self.vectors,
            x87: self.x87,
            turns: self.streaming,
        });
    }

    /// Translates one instruction; false when the block ends with it.
    fn instruction(&mut self) -> bool {
        let instruction = self.source.guests[self.op].instruction;
        self.settle_stack_for(&instruction);
        if instruction.flow_control() != FlowControl::Next {
            self.return_all_borrowed();
        }
        let open = self.translated();
        self.note_flags();
        open
    }

    fn translated(&mut self) -> bool {
        let guest = self.source.guests[self.op];
        let instruction = guest.instruction;
        if self.source.segmented.is_some() {
            self.slot = stack::slot_of(&instruction);
        }
        if guest.native {
            if let Some(open) = self.branch(&instruction) {
                return open;
            }
            if self.gate(&instruction) {
                return false;
            }
            if self.stack(&instruction) {
                return true;
            }
            if self.system(&instruction)
                || self.segment_register(&instruction)
                || self.read_tsc(&instruction)
                || self.string(&instruction)
                || self.x87(&instruction)
            {
                self.forget_stack();
                return true;
            }
            if self.implicit(&instruction) || self.plain(&instruction) {
                self.note_stack();
                return true;
            }
        }
        self.forget_stack();
        self.interpret();
        instruction.flow_control() == FlowControl::Next
            || instruction.flow_control() == FlowControl::ConditionalBranch
    }

    /// Has the instruction executed elsewhere, and goes on behind it.
    fn interpret(&mut self) {
        if !self.streamed {
            self.stream = None;
        }
        self.settle_stack();
        self.leave_borrowed();
        self.save_flags();
        self.flush_x87_ip();
        self.vectors = false;
        self.x87 = false;
        self.foreign |= 1 << self.number(self.op);
        let exit = self.exit_at(self.op);
        self.out.leave(exit, self.frame.leave);
        self.state = State::Both;
        self.redo = None;
    }

    /// A label at which the present instruction is left to others.
    fn slow(&mut self) -> Label {
        self.leave_borrowed();
        let op = self.op as u16;
        for cold in self.cold.iter().rev() {
            match cold {
                Cold::Interpret(known)
                    if known.op == op && known.streaming == self.streaming && !known.host =>
                {
                    return known.label;
                }
                _ => {}
            }
        }
        let label = self.out.label();
        let redo = self.deferred();
        if !self.streaming {
            self.lefts.push((self.op, redo));
        }
        self.cold.push(Cold::Interpret(Interpret {
            label,
            op,
            x87_ip: self.x87_ip,
            redo,
            streaming: self.streaming,
            host: false,
        }));
        label
    }

    /// Sees to it that the flags are in the context, before the host's are changed.
    fn save_flags(&mut self) {
        self.settle();
        match self.state {
            State::Host => {
                self.out.save_flags();
                self.state = State::Both;
                self.mark(false);
            }
            State::Nowhere => self.misjudge(flags::Wanted::Saved),
            State::Saved | State::Both | State::Deferred => {}
        }
    }

    /// Sees to it that the host's flags are the guest's.
    fn restore_flags(&mut self) {
        self.settle();
        match (self.state, self.redo) {
            (State::Saved, Some(redo)) if self.plan.defers && redo.is_short() => {
                self.redo(redo);
                self.state = State::Both;
            }
            (State::Saved, _) => {
                self.out.restore_flags();
                self.state = State::Both;
            }
            (State::Nowhere, _) => self.misjudge(flags::Wanted::Host),
            (State::Host | State::Both | State::Deferred, _) => {}
        }
    }

    /// Sees to it that the vector registers are in the host's.
    fn need_vectors(&mut self) {
        if self.vectors {
            return;
        }
        self.vectors = true;
        let (label, back) = (self.out.label(), self.out.label());
        self.leave_unless_zero(Context::VECTORS_AWAY, label);
        self.out.bind(back);
        self.cold.push(Cold::LoadVectors { label, back });
    }

    /// Goes to `label` unless a 32-bit word of the context is zero. Changes the host's flags where nobody wants them, else
    /// RCX.
    fn leave_unless_zero(&mut self, offset: i64, label: Label) {
        match self.state {
            State::Host | State::Both => self.out.jump_unless_zero(offset, label),
            State::Saved | State::Deferred | State::Nowhere => {
                self.out.is_zero32(offset);
                self.out.jump_if(5, label);
            }
        }
    }
}

#[cfg(test)]
mod tests;
