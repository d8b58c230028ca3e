//! The APIC timer (SDM vol. 3, 11.5.4). It counts at [`x86::cpuid::APIC_HZ`], one tick a nanosecond.

use x86::lapic::LapicState;

use super::{Lapic, MASKED, reg};
use crate::alarm::NEVER;

const _: () = assert!(
    x86::cpuid::APIC_HZ == 1_000_000_000,
    "a tick is a nanosecond"
);

/// Shortest period in nanoseconds; a guest that asks for a shorter one gets this.
const LEAST_PERIOD: u64 = 20_000;

/// The timer's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimerMode {
    OneShot,
    Periodic,
    TscDeadline,
}

impl TimerMode {
    pub(super) fn of(entry: u32) -> Self {
        match entry >> 17 & 3 {
            0 => Self::OneShot,
            1 => Self::Periodic,
            _ => Self::TscDeadline,
        }
    }
}

/// The timer's state beside the registers.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    /// When it expires, in nanoseconds of the machine's clock; [`NEVER`] while stopped.
    pub(crate) deadline: u64,
    /// IA32_TSC_DEADLINE; zero when disarmed.
    pub(crate) tsc_deadline: u64,
}

impl Default for Timer {
    fn default() -> Self {
        Self {
            deadline: NEVER,
            tsc_deadline: 0,
        }
    }
}

impl Timer {
    pub(super) fn load(state: &LapicState, now: u64) -> Self {
        Self {
            deadline: state
                .timer_remaining
                .map_or(NEVER, |remaining| now.saturating_add(remaining)),
            tsc_deadline: state.tsc_deadline,
        }
    }

    /// Nanoseconds until it expires, when it runs.
    pub(super) fn remaining(&self, now: u64) -> Option<u64> {
        (self.deadline != NEVER).then(|| self.deadline.saturating_sub(now))
    }
}

impl Lapic {
    pub(super) fn timer_mode(&self) -> TimerMode {
        TimerMode::of(self.regs[reg::LVT_TIMER])
    }

    /// Ticks of the bus clock for one of the counter.
    fn divider(&self) -> u64 {
        let code = self.regs[reg::DIVIDE] & 3 | self.regs[reg::DIVIDE] >> 1 & 4;
        1 << ((code + 1) & 7)
    }

    /// Nanoseconds from the initial count to zero.
    fn interval(&self) -> u64 {
        u64::from(self.regs[reg::INITIAL_COUNT]) * self.divider()
    }

    pub(super) fn start_timer(&mut self, now: u64) {
        let interval = self.interval();
        self.timer.deadline = match self.timer_mode() {
            TimerMode::TscDeadline => return,
            _ if interval == 0 => NEVER,
            TimerMode::Periodic => now + interval.max(LEAST_PERIOD),
            TimerMode::OneShot => now + interval,
        };
    }

    pub(super) fn current_count(&self, now: u64) -> u32 {
        if self.timer_mode() == TimerMode::TscDeadline {
            return 0;
        }
        self.timer.remaining(now).map_or(0, |remaining| {
            u32::try_from(remaining.div_ceil(self.divider())).unwrap_or(u32::MAX)
        })
    }

    /// Changes the divider; the count goes on from where it is.
    pub(super) fn set_divider(&mut self, value: u32, now: u64) {
        let old = self.divider();
        self.regs[reg::DIVIDE] = value & 0xb;
        let new = self.divider();
        if self.timer_mode() != TimerMode::TscDeadline
            && let Some(remaining) = self.timer.remaining(now)
        {
            self.timer.deadline = now + remaining / old * new;
        }
    }

    /// Writes the timer's LVT entry; a change between deadlines and counting disarms.
    pub(super) fn set_timer_entry(&mut self, value: u32) {
        let deadline = |mode| mode == TimerMode::TscDeadline;
        if deadline(TimerMode::of(value)) != deadline(self.timer_mode()) {
            self.timer = Timer::default();
        }
        self.regs[reg::LVT_TIMER] = value;
    }

    /// Whether IA32_TSC_DEADLINE means anything.
    pub(crate) fn has_tsc_deadline(&self) -> bool {
        self.timer_mode() == TimerMode::TscDeadline
    }

    /// Writes IA32_TSC_DEADLINE, where it means something; `when` is that moment of the machine's clock.
    pub(crate) fn set_tsc_deadline(&mut self, value: u64, when: Option<u64>) {
        self.timer = Timer {
            deadline: when.unwrap_or(NEVER),
            tsc_deadline: value,
        };
    }

    /// If the deadline has passed: requests the interrupt, and starts the next period.
    pub(crate) fn expire(&mut self, now: u64) {
        if self.timer.deadline > now {
            return;
        }
        let entry = self.regs[reg::LVT_TIMER];
        match self.timer_mode() {
            TimerMode::Periodic => {
                let period = self.interval().max(LEAST_PERIOD);
                let late = now - self.timer.deadline;
                // Periods that were missed altogether are lost.
                self.timer.deadline += (late / period + 1) * period;
            }
            TimerMode::OneShot | TimerMode::TscDeadline => self.timer = Timer::default(),
        }
        if entry & MASKED == 0 {
            self.accept_local(entry as u8);
        }
    }
}
