//! What instructions change of a processor besides memory: kept, put back, compared.

use std::fmt::Write;

use dbt::{Context, cc};
use x86::state::gpr::NAMES;

use crate::cpu::Cpu;
use crate::exec::x87::X87;

/// The registers at some point.
pub(super) struct State {
    context: Context,
    rip: u64,
    flags: u64,
    limit: usize,
    attend: bool,
    shadow: bool,
    /// Only where some instruction uses them.
    pub(super) x87: Option<X87>,
}

impl State {
    pub(super) fn of(cpu: &Cpu, x87: bool) -> Self {
        Self {
            context: (*cpu.ctx).clone(),
            rip: cpu.rip,
            flags: cpu.flags,
            limit: cpu.limit,
            attend: cpu.attend,
            shadow: cpu.shadow,
            x87: x87.then(|| cpu.x87.stored()),
        }
    }

    pub(super) fn put_back(&self, cpu: &mut Cpu) {
        (*cpu.ctx).clone_from(&self.context);
        cpu.rip = self.rip;
        cpu.flags = self.flags;
        cpu.refresh_privilege();
        cpu.limit = self.limit;
        cpu.attend = self.attend;
        cpu.shadow = self.shadow;
        if let Some(x87) = &self.x87 {
            cpu.x87.put_back(x87);
        }
    }

    pub(super) fn rip(&self) -> u64 {
        self.rip
    }

    /// Makes RIP that of another state.
    pub(super) fn stay_at(&mut self, other: &Self) {
        self.rip = other.rip;
    }

    pub(super) fn register(&self, number: usize) -> u64 {
        self.context.gpr[number]
    }

    /// Whether a guest could tell two states apart; `undefined` says which flags don't count.
    pub(super) fn differs(&self, other: &Self, undefined: impl FnOnce() -> u64) -> bool {
        let (one, two) = (&self.context, &other.context);
        let flags = cc::to_rflags(one.cc) ^ cc::to_rflags(two.cc);
        one.gpr[..16] != two.gpr[..16]
            || flags != 0 && flags & !undefined() != 0
            || self.flags != other.flags
            || self.rip != other.rip
            || one.mxcsr != two.mxcsr
            || one.ymm != two.ymm
            || self.area() != other.area()
    }

    fn area(&self) -> Option<[u8; 160]> {
        self.x87.as_ref().map(X87::area)
    }

    /// A line for each register, three values side by side: before, interpreter, translated code.
    pub(super) fn describe(before: &Self, one: &Self, other: &Self) -> String {
        let mut text = format!(
            "  {:<10} {:>18} {:>18} {:>18}\n",
            "", "before", "interpreter", "translated"
        );
        let mut line = |name: &str, values: [u64; 3]| {
            let [before, one, other] = values;
            let mark = if one == other { "" } else { "  <--" };
            let _ = writeln!(
                text,
                "  {name:<10} {before:#18x} {one:#18x} {other:#18x}{mark}"
            );
        };
        let states = [before, one, other];
        line("rip", states.map(|state| state.rip));
        for (number, name) in NAMES.iter().enumerate() {
            line(name, states.map(|state| state.context.gpr[number]));
        }
        let rflags = |state: &Self| state.flags | cc::to_rflags(state.context.cc);
        line("rflags", states.map(rflags));
        line("mxcsr", states.map(|state| u64::from(state.context.mxcsr)));
        for number in 0..16 {
            for part in 0..4 {
                let values = states.map(|state| state.context.ymm[number][part]);
                if values[0] != values[1] || values[1] != values[2] {
                    line(&format!("ymm{number}[{part}]"), values);
                }
            }
        }
        if let [Some(before), Some(one), Some(other)] = states.map(Self::area) {
            for at in (0..160).step_by(8) {
                let word = |area: &[u8; 160]| {
                    area[at..at + 8]
                        .iter()
                        .rev()
                        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
                };
                let values = [word(&before), word(&one), word(&other)];
                if values[0] != values[1] || values[1] != values[2] {
                    line(&format!("fxsave+{at}"), values);
                }
            }
        }
        text
    }
}
