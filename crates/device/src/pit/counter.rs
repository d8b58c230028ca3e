//! The counting element of a channel: modes, gate and output (8254, "Mode Definitions").
//!
//! A new count written while modes 2 and 3 run is loaded at the end of the period.

use serde::{Deserialize, Serialize};

/// What a channel does with its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mode {
    /// 0: the output rises when the count is over.
    TerminalCount,
    /// 1: a rising gate makes the output low until the count is over.
    OneShot,
    /// 2: low for the last tick of each period.
    RateGenerator,
    /// 3: low for the second half of each period.
    SquareWave,
    /// 4: low for one tick when the count is over.
    SoftwareStrobe,
    /// 5: as 4, started by a rising gate.
    HardwareStrobe,
}

impl Mode {
    /// From the three bits of a control word or a status byte.
    pub(super) fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::TerminalCount,
            1 => Self::OneShot,
            2 | 6 => Self::RateGenerator,
            3 | 7 => Self::SquareWave,
            4 => Self::SoftwareStrobe,
            _ => Self::HardwareStrobe,
        }
    }

    /// The three bits.
    pub(super) fn bits(self) -> u8 {
        match self {
            Self::TerminalCount => 0,
            Self::OneShot => 1,
            Self::RateGenerator => 2,
            Self::SquareWave => 3,
            Self::SoftwareStrobe => 4,
            Self::HardwareStrobe => 5,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Run {
    /// No count is loaded, or the trigger has not come.
    Stopped,
    /// Loaded at this tick (perhaps the next one) and counting.
    Since(u64),
    /// The gate stopped it after this many ticks.
    Held(u64),
}

/// The counting element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counter {
    mode: Mode,
    bcd: bool,
    gate: bool,
    run: Run,
    /// The count register: what is loaded next. Zero until it is written after a control word.
    register: u32,
    /// What was loaded: 1 to 65536 ticks.
    loaded: u32,
    /// When a running mode 2 or 3 takes up `register`.
    reload_at: Option<u64>,
    /// `register` awaits a trigger.
    waits: bool,
    /// What the counter shows while it is stopped.
    shown: u16,
}

impl Counter {
    pub(super) fn new(gate: bool) -> Self {
        Self {
            mode: Mode::TerminalCount,
            bcd: false,
            gate,
            run: Run::Stopped,
            register: 0,
            loaded: 1,
            reload_at: None,
            waits: false,
            shown: 0,
        }
    }

    /// Whether a saved state is one that can be.
    pub(super) fn fits(&self) -> bool {
        self.register <= 0x1_0000 && (1..=0x1_0000).contains(&self.loaded)
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn is_bcd(&self) -> bool {
        self.bcd
    }

    /// The modulus of the counter, which is also the largest count.
    fn modulus(&self) -> u32 {
        if self.bcd { 10_000 } else { 0x1_0000 }
    }

    /// A control word: the output takes its first level, and counting awaits a new count.
    pub(super) fn program(&mut self, mode: Mode, bcd: bool, now: u64) {
        let shown = self.count(now);
        *self = Self {
            mode,
            bcd,
            shown,
            ..Self::new(self.gate)
        };
    }

    /// Stops a running mode 0: the first of two bytes of a new count has been written.
    pub(super) fn begin_write(&mut self, now: u64) {
        if self.mode == Mode::TerminalCount {
            self.shown = self.count(now);
            self.run = Run::Stopped;
        }
    }

    /// A complete new count.
    pub(super) fn write(&mut self, value: u16, now: u64) {
        *self = self.settled(now);
        let value = if self.bcd {
            from_bcd(value)
        } else {
            u32::from(value)
        };
        self.register = if value == 0 { self.modulus() } else { value };
        match self.mode {
            Mode::TerminalCount | Mode::SoftwareStrobe => {
                self.load(now);
                if !self.gate {
                    self.run = Run::Held(0);
                }
            }
            Mode::OneShot | Mode::HardwareStrobe => self.waits = true,
            Mode::RateGenerator | Mode::SquareWave => match self.run {
                Run::Since(origin) if now >= origin => {
                    let period = u64::from(self.loaded);
                    let done = (now - origin) % period;
                    self.reload_at = now.checked_add(period - done);
                }
                _ if self.gate => self.load(now),
                _ => {}
            },
        }
    }

    /// Loads the count register at the next tick.
    fn load(&mut self, now: u64) {
        if self.register != 0 {
            self.loaded = self.register;
            self.run = Run::Since(now.saturating_add(1));
            self.reload_at = None;
            self.waits = false;
        }
    }

    pub(super) fn set_gate(&mut self, gate: bool, now: u64) {
        if gate == self.gate {
            return;
        }
        *self = self.settled(now);
        self.gate = gate;
        match (self.mode, self.run) {
            (Mode::TerminalCount | Mode::SoftwareStrobe, Run::Since(origin)) => {
                self.run = Run::Held(now.saturating_sub(origin));
            }
            (Mode::TerminalCount | Mode::SoftwareStrobe, Run::Held(elapsed)) => {
                self.run = Run::Since(now.saturating_sub(elapsed));
            }
            (Mode::OneShot | Mode::HardwareStrobe, _) if gate => self.load(now),
            (Mode::RateGenerator | Mode::SquareWave, _) => {
                if gate {
                    self.load(now);
                } else {
                    self.shown = self.count(now);
                    self.run = Run::Stopped;
                    self.reload_at = None;
                }
            }
            _ => {}
        }
    }

    /// The same counter, with a reload that has happened by `now` carried out.
    fn settled(self, now: u64) -> Self {
        match self.reload_at {
            Some(at) if at <= now => Self {
                loaded: self.register.max(1),
                run: Run::Since(at),
                reload_at: None,
                ..self
            },
            _ => self,
        }
    }

    /// Ticks since the count was loaded; `None` before.
    fn elapsed(&self, now: u64) -> Option<u64> {
        match self.run {
            Run::Stopped => None,
            Run::Since(origin) => now.checked_sub(origin),
            Run::Held(elapsed) => Some(elapsed),
        }
    }

    /// The output pin.
    pub(super) fn output(&self, now: u64) -> bool {
        let this = self.settled(now);
        let period = u64::from(this.loaded);
        let Some(elapsed) = this.elapsed(now) else {
            return this.mode != Mode::TerminalCount;
        };
        match this.mode {
            Mode::TerminalCount | Mode::OneShot => elapsed >= period,
            Mode::RateGenerator => elapsed % period != period - 1,
            Mode::SquareWave => elapsed % period < period.div_ceil(2),
            Mode::SoftwareStrobe | Mode::HardwareStrobe => elapsed != period,
        }
    }

    /// What the guest reads.
    pub(super) fn count(&self, now: u64) -> u16 {
        let this = self.settled(now);
        let period = u64::from(this.loaded);
        let Some(elapsed) = this.elapsed(now) else {
            return this.shown;
        };
        let modulus = u64::from(this.modulus());
        let count = match this.mode {
            Mode::RateGenerator => period - elapsed % period,
            Mode::SquareWave => {
                let half = period.div_ceil(2);
                let phase = elapsed % period;
                let in_half = if phase < half { phase } else { phase - half };
                (period & !1).saturating_sub(2 * in_half)
            }
            _ => period + modulus - elapsed % modulus,
        };
        let count = u16::try_from(count % modulus).unwrap_or(0);
        if this.bcd { to_bcd(count) } else { count }
    }

    /// Whether the count that was written last has not been loaded yet.
    pub(super) fn is_null(&self, now: u64) -> bool {
        let this = self.settled(now);
        this.waits || this.reload_at.is_some() || this.elapsed(now).is_none()
    }

    /// The first tick after `since` at which the output rises by itself. `since` is not before the last change.
    pub(super) fn next_rise(&self, since: u64) -> Option<u64> {
        if let Some(at) = self.reload_at.filter(|&at| at > since) {
            return Some(at);
        }
        let this = self.settled(since);
        let Run::Since(origin) = this.run else {
            return None;
        };
        let period = u64::from(this.loaded);
        let rise = match this.mode {
            Mode::TerminalCount | Mode::OneShot => origin.checked_add(period)?,
            Mode::SoftwareStrobe | Mode::HardwareStrobe => origin.checked_add(period + 1)?,
            // A period of one tick has no edges.
            Mode::RateGenerator | Mode::SquareWave if period == 1 => return None,
            Mode::RateGenerator | Mode::SquareWave => {
                let periods = since.saturating_sub(origin) / period + 1;
                origin.checked_add(periods.checked_mul(period)?)?
            }
        };
        (rise > since).then_some(rise)
    }
}

/// Four decimal digits to a number. Digits beyond 9 count for what they are, modulo 10000.
fn from_bcd(value: u16) -> u32 {
    let digit = |shift: u32| u32::from(value >> shift & 0xf);
    (digit(12) * 1000 + digit(8) * 100 + digit(4) * 10 + digit(0)) % 10_000
}

fn to_bcd(value: u16) -> u16 {
    (value / 1000 % 10) << 12 | (value / 100 % 10) << 8 | (value / 10 % 10) << 4 | (value % 10)
}
