//! Code of a block that is run seldom: it stands behind the rest, out of its way.

use super::borrow::Borrowed;
use super::branch::{Detour, Link};
use super::cmpxchg::Differs;
use super::deferred::Redo;
use super::guess::Unguessed;
use super::inside::{Early, Elsewhere, Stray};
use super::late::{Late, Sought};
use super::probe::Missed;
use super::stream::Astray;
use super::writer::Label;
use super::{State, Translator};

/// A piece of it, and the label that leads there.
pub(super) enum Cold {
    /// A copy of a run in which each access has a probe of its own.
    Apart {
        label: Label,
        back: Label,
        first: usize,
        end: usize,
        /// How the flags are made again, where they are not saved.
        redo: Option<Redo>,
        borrowed: Borrowed,
        /// In [`Translator::ends`].
        index: usize,
        vectors: bool,
        x87: bool,
    },
    /// A run whose probes have missed is left to others.
    Run(Run),
    /// An instruction is left to others.
    Interpret(Interpret),
    /// A way out of the second body.
    Out {
        label: Label,
        target: u64,
        state: State,
    },
    Leave {
        label: Label,
        target: u64,
        /// How the flags are made, for blocks that want them.
        redo: Option<Redo>,
        link: Link,
        state: State,
    },
    /// Behind a jump to another page.
    Far {
        label: Label,
        target: u64,
        link: Link,
        /// Where a CALL comes back to.
        back: Option<Label>,
    },
    /// Behind an indirect branch that is linked to one target.
    Unguessed(Unguessed),
    LoadVectors {
        label: Label,
        back: Label,
    },
    /// A branch backwards: looks whether the vCPU is wanted.
    Back {
        label: Label,
        target: u64,
        state: State,
    },
    /// The jump table has no code for the address in RCX.
    Sought(Sought),
    /// The code for the address in RCX may look at the flags.
    Late(Late),
    /// A return to RCX, where that is not what the last call that is remembered comes back to.
    Strayed {
        label: Label,
        slow: Label,
        stack: i32,
    },
    /// A probe of an entry whose place is known has missed.
    Missed(Missed),
    /// An indirect branch does not lead to the block's next instruction.
    Stray(Stray),
    /// A branch out of a call inside the block.
    Early(Early),
    /// The block's other places may not be what they were.
    Elsewhere(Elsewhere),
    /// A probe for the second body has missed.
    Astray(Astray),
    /// CMPXCHG finds something else in memory.
    Differs(Differs),
    /// The vCPU is wanted before the block; its flags are known behind so many instructions.
    Wanted {
        label: Label,
        ops: usize,
    },
}

/// A run of instructions whose accesses share probes, from where those have missed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) label: Label,
    pub(super) first: usize,
    pub(super) end: usize,
    /// How the flags are made again, where they are not saved.
    pub(super) redo: Option<Redo>,
    pub(super) borrowed: Borrowed,
    /// In the second body.
    pub(super) streaming: bool,
}

/// An instruction that others execute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interpret {
    pub(super) label: Label,
    pub(super) op: u16,
    pub(super) x87_ip: Option<u64>,
    /// How the flags are made again, where they are not saved.
    pub(super) redo: Option<Redo>,
    /// In the second body.
    pub(super) streaming: bool,
    /// The flags are in the host's register alone.
    pub(super) host: bool,
}

/// Where things are behind a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) state: State,
    pub(super) vectors: bool,
    /// Whether flags that can be made again need what the context has.
    pub(super) context: bool,
}

impl Translator<'_> {
    /// Translates a run again, without a shared probe, and comes back to what follows it.
    fn apart(&mut self, first: usize, end: usize, then: Option<End>, back: Label) {
        for op in first..end {
            self.op = op;
            self.mark(true);
            self.end_x87_run();
            self.instruction();
        }
        let Some(end) = then else {
            // The run ends the block.
            return;
        };
        if end.vectors {
            self.need_vectors();
        }
        if end.context {
            self.save_flags();
        }
        match end.state {
            State::Host => self.restore_flags(),
            State::Saved => self.save_flags(),
            State::Both => {
                self.save_flags();
                self.restore_flags();
            }
            State::Deferred | State::Nowhere => {}
        }
        self.out.jump(back);
    }

    /// Leaves by a way out that is not linked.
    fn write_leave(&mut self, target: u64, redo: Option<Redo>, mut link: Link, state: State) {
        let out = self.out.len();
        if let Some(redo) = redo {
            self.redo(redo);
        } else {
            self.exchange();
        }
        if link.is_patchable() && self.out.len() > out {
            let stub = self.out.label();
            self.out.jump(stub);
            self.out.bind(stub);
            link.detour = Some(Detour {
                out,
                at: self.out.len() - 4,
                makes_flags: redo.is_some(),
            });
        }
        link.stub = self.out.len();
        if !state.is_saved() {
            self.out.save_flags();
        }
        let exit = self.exit_to(target, link);
        self.out.leave(exit, self.frame.leave);
    }

    /// Leaves a run to others.
    fn write_run(&mut self, run: Run) {
        self.out.bind(run.label);
        self.return_borrowed(run.borrowed);
        if run.streaming {
            self.restore_borrowed();
        }
        self.save_again(run.first, run.redo);
        let [first, last] = [run.first, run.end - 1].map(|op| self.number(op) as u64);
        let exit = self.exit_to(first | last << 16, Link::run());
        self.out.leave(exit, self.frame.leave);
    }

    /// Leaves an instruction to others.
    fn write_interpret(&mut self, interpret: Interpret) {
        let Interpret { op, redo, .. } = interpret;
        self.out.bind(interpret.label);
        if interpret.streaming {
            self.restore_borrowed();
        }
        if interpret.host {
            self.out.save_flags();
        }
        self.x87_ip = interpret.x87_ip;
        match redo.and_then(Redo::compared) {
            Some(first) => {
                let first = usize::from(first);
                let before = self.lefts.iter().find(|left| left.0 == first);
                let redo = before.and_then(|left| left.1);
                self.save_again(first, redo);
                let between = first + 1..=usize::from(op);
                self.earlier |= between.fold(0, |bits, op| bits | 1 << self.number(op));
            }
            None => self.save_again(usize::from(op), redo),
        }
        self.flush_x87_ip();
        let exit = self.exit_at(op.into());
        self.out.leave(exit, self.frame.leave);
    }

    /// Makes flags again that are in the context otherwise, and saves them.
    pub(super) fn save_again(&mut self, op: usize, redo: Option<Redo>) {
        self.op = op;
        self.redo = redo;
        self.state = match redo {
            Some(_) => State::Deferred,
            None => State::Saved,
        };
        self.save_flags();
    }

    pub(super) fn write_cold(&mut self) {
        // Writing one may add another.
        let mut next = 0;
        while next < self.cold.len() {
            self.redo = None;
            self.borrowed = Borrowed::default();
            match self.cold[next] {
                Cold::Apart {
                    label,
                    back,
                    first,
                    end,
                    redo,
                    borrowed,
                    index,
                    vectors,
                    x87,
                } => {
                    self.out.bind(label);
                    self.return_borrowed(borrowed);
                    self.save_again(first, redo);
                    self.vectors = vectors;
                    self.x87 = x87;
                    self.x87_ip = None;
                    self.apart(first, end, self.ends[index], back);
                }
                Cold::Run(run) => self.write_run(run),
                Cold::Interpret(interpret) => self.write_interpret(interpret),
                Cold::Out {
                    label,
                    target,
                    state,
                } => {
                    self.out.bind(label);
                    self.restore_borrowed();
                    self.state = state;
                    self.go(target);
                }
                Cold::Leave {
                    label,
                    target,
                    redo,
                    link,
                    state,
                } => {
                    self.out.bind(label);
                    self.write_leave(target, redo, link, state);
                }
                Cold::Far {
                    label,
                    target,
                    link,
                    back,
                } => self.write_far(label, target, link, back),
                Cold::Unguessed(unguessed) => self.write_unguessed(unguessed),
                Cold::LoadVectors { label, back } => {
                    self.out.bind(label);
                    self.out.call(self.frame.load_vectors);
                    self.out.jump(back);
                }
                Cold::Back {
                    label,
                    target,
                    state,
                } => {
                    self.out.bind(label);
                    self.back(target, state);
                }
                Cold::Sought(sought) => self.write_sought(sought),
                Cold::Late(late) => self.write_late(late),
                Cold::Strayed { label, slow, stack } => self.write_strayed(label, slow, stack),
                Cold::Missed(missed) => self.write_missed(missed),
                Cold::Stray(stray) => self.write_stray(stray),
                Cold::Early(early) => self.write_early(early),
                Cold::Elsewhere(elsewhere) => self.write_elsewhere(elsewhere),
                Cold::Astray(astray) => self.write_astray(astray),
                Cold::Differs(differs) => self.write_differs(differs),
                Cold::Wanted { label, ops } => self.write_wanted(label, ops),
            }
            next += 1;
        }
    }
}
