//! The registers, and how they follow from the clocks.

use serde::{Deserialize, Serialize};

use super::alarm::Alarm;
use super::calendar::{DateTime, weekday};
use super::cmos::Cmos;
use super::seconds;

/// Nanoseconds.
pub(super) const SECOND: i128 = 1_000_000_000;
/// Nanoseconds from the rise of UIP to the change of the time: 244 microseconds' warning and the update itself.
const UPDATE: i128 = 244_000 + 1_984_000;
/// The crystal's frequency in Hz.
const CRYSTAL: u128 = 32_768;
/// Beyond every second that the registers can say.
const SECONDS_LIMIT: i64 = 1_000_000_000_000;

/// Indexes of registers and of the bytes that PCs agree on.
pub(super) mod register {
    pub(crate) const SECONDS: u8 = 0x00;
    pub(crate) const SECONDS_ALARM: u8 = 0x01;
    pub(crate) const MINUTES: u8 = 0x02;
    pub(crate) const MINUTES_ALARM: u8 = 0x03;
    pub(crate) const HOURS: u8 = 0x04;
    pub(crate) const HOURS_ALARM: u8 = 0x05;
    pub(crate) const WEEKDAY: u8 = 0x06;
    pub(crate) const DAY: u8 = 0x07;
    pub(crate) const MONTH: u8 = 0x08;
    pub(crate) const YEAR: u8 = 0x09;
    pub(crate) const A: u8 = 0x0a;
    pub(crate) const B: u8 = 0x0b;
    pub(crate) const C: u8 = 0x0c;
    pub(crate) const D: u8 = 0x0d;
    pub(crate) const SHUTDOWN_STATUS: u8 = 0x0f;
    pub(crate) const CHECKED_FIRST: u8 = 0x10;
    pub(crate) const EQUIPMENT: u8 = 0x14;
    pub(crate) const BASE_MEMORY: u8 = 0x15;
    pub(crate) const EXTENDED_MEMORY: u8 = 0x17;
    pub(crate) const CHECKED_LAST: u8 = 0x2d;
    pub(crate) const CHECKSUM: u8 = 0x2e;
    pub(crate) const EXTENDED_MEMORY_FOUND: u8 = 0x30;
    pub(crate) const CENTURY: u8 = 0x32;
    pub(crate) const MEMORY_ABOVE_16M: u8 = 0x34;
    pub(crate) const MEMORY_ABOVE_4G: u8 = 0x5b;
}

/// Register A.
pub(super) mod a {
    pub(crate) const UIP: u8 = 1 << 7;
    /// Both upper bits of the divider hold it in reset.
    pub(crate) const DIVIDER_RESET: u8 = 0x60;
    pub(crate) const RATE: u8 = 0x0f;
    /// The crystal's divider, and a rate of 1024 Hz.
    pub(crate) const DEFAULT: u8 = 0x26;
}

/// Register B.
pub(super) mod b {
    pub(crate) const SET: u8 = 1 << 7;
    pub(crate) const PIE: u8 = 1 << 6;
    pub(crate) const AIE: u8 = 1 << 5;
    pub(crate) const UIE: u8 = 1 << 4;
    pub(crate) const SQWE: u8 = 1 << 3;
    pub(crate) const BINARY: u8 = 1 << 2;
    pub(crate) const HOURS_24: u8 = 1 << 1;
}

/// Register C. The flags have the places of their enables in register B.
pub(super) mod c {
    pub(crate) const IRQF: u8 = 1 << 7;
    pub(crate) const PF: u8 = 1 << 6;
    pub(crate) const AF: u8 = 1 << 5;
    pub(crate) const UF: u8 = 1 << 4;
    pub(crate) const FLAGS: u8 = PF | AF | UF;
}

/// Register D.
pub(super) mod d {
    pub(crate) const VRT: u8 = 1 << 7;
}

/// Hours in 12-hour mode: afternoon.
const PM: u8 = 1 << 7;
/// An alarm field that does not matter has both upper bits set.
const ANY: u8 = 0xc0;

/// The time registers, raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Raw {
    second: u8,
    minute: u8,
    hour: u8,
    weekday: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
}

impl Raw {
    fn get_mut(&mut self, index: u8) -> Option<&mut u8> {
        Some(match index {
            register::SECONDS => &mut self.second,
            register::MINUTES => &mut self.minute,
            register::HOURS => &mut self.hour,
            register::WEEKDAY => &mut self.weekday,
            register::DAY => &mut self.day,
            register::MONTH => &mut self.month,
            register::YEAR => &mut self.year,
            register::CENTURY => &mut self.century,
            _ => return None,
        })
    }
}

/// What an [`super::Rtc`] remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(super) index: u8,
    pub(super) a: u8,
    pub(super) b: u8,
    /// PF, AF and UF.
    pub(super) flags: u8,
    /// Nanoseconds from the host's time to this clock's.
    offset: i128,
    /// The time registers while they stand still: during a setting and while the divider is held.
    held: Option<Raw>,
    /// The divider was reset while they did.
    divider_was_reset: bool,
    /// The second up to which updates and alarms have been noticed.
    updated: i64,
    /// The crystal's tick up to which periods have been noticed.
    ticked: u64,
    /// The level of the IRQ.
    pub(super) irq: bool,
    pub(super) cmos: Cmos,
}

fn crystal(now: u64) -> u64 {
    u64::try_from(u128::from(now) * CRYSTAL / 1_000_000_000).unwrap_or(u64::MAX)
}

impl State {
    pub(super) fn new(cmos: Cmos, now: u64, wall: u64) -> Self {
        let mut this = Self {
            index: 0,
            a: a::DEFAULT,
            b: b::HOURS_24,
            flags: 0,
            offset: 0,
            held: None,
            divider_was_reset: false,
            updated: 0,
            ticked: crystal(now),
            irq: false,
            cmos,
        };
        this.updated = seconds(this.time(wall));
        this
    }

    /// Whether a saved state is one that can be.
    pub(super) fn fits(&self) -> bool {
        let limit = i128::from(SECONDS_LIMIT) * SECOND;
        self.cmos.fits()
            && (-limit..=limit).contains(&self.offset)
            && (-SECONDS_LIMIT..=SECONDS_LIMIT).contains(&self.updated)
            && self.flags & !c::FLAGS == 0
    }

    /// Nanoseconds since 1970 by this clock.
    fn time(&self, wall: u64) -> i128 {
        i128::from(wall) + self.offset
    }

    fn encode(&self, value: i64) -> u8 {
        let value = u8::try_from(value.rem_euclid(100)).unwrap_or(0);
        if self.b & b::BINARY != 0 {
            value
        } else {
            ((value / 10) << 4) | (value % 10)
        }
    }

    fn decode(&self, value: u8) -> i64 {
        let value = if self.b & b::BINARY != 0 {
            value
        } else {
            (value >> 4) * 10 + (value & 0xf)
        };
        i64::from(value)
    }

    fn encode_hour(&self, hour: i64) -> u8 {
        if self.b & b::HOURS_24 != 0 {
            return self.encode(hour);
        }
        let in_half = if hour % 12 == 0 { 12 } else { hour % 12 };
        self.encode(in_half) | if hour >= 12 { PM } else { 0 }
    }

    fn decode_hour(&self, value: u8) -> i64 {
        if self.b & b::HOURS_24 != 0 {
            return self.decode(value);
        }
        self.decode(value & !PM) % 12 + if value & PM != 0 { 12 } else { 0 }
    }

    fn raw(&self, wall: u64) -> Raw {
        if let Some(held) = self.held {
            return held;
        }
        let seconds = seconds(self.time(wall));
        let at = DateTime::from_seconds(seconds);
        Raw {
            second: self.encode(at.second),
            minute: self.encode(at.minute),
            hour: self.encode_hour(at.hour),
            weekday: self.encode(weekday(seconds)),
            day: self.encode(at.day),
            month: self.encode(at.month),
            year: self.encode(at.year),
            century: self.encode(at.year / 100),
        }
    }

    /// Makes the clock show `raw`, `fraction` nanoseconds into that second.
    fn set(&mut self, raw: Raw, fraction: i128, wall: u64) {
        let at = DateTime {
            year: self.decode(raw.century) * 100 + self.decode(raw.year),
            month: self.decode(raw.month),
            day: self.decode(raw.day),
            hour: self.decode_hour(raw.hour),
            minute: self.decode(raw.minute),
            second: self.decode(raw.second),
        };
        let seconds = at.to_seconds();
        self.offset = i128::from(seconds) * SECOND + fraction - i128::from(wall);
        self.updated = seconds;
    }

    /// A time register; `None` when `index` is none.
    pub(super) fn read_time(&self, index: u8, wall: u64) -> Option<u8> {
        self.raw(wall).get_mut(index).map(|value| *value)
    }

    /// Writes a time register; whether `index` is one. The day of the week follows from the date.
    pub(super) fn write_time(&mut self, index: u8, value: u8, wall: u64) -> bool {
        let mut raw = self.raw(wall);
        let Some(register) = raw.get_mut(index) else {
            return false;
        };
        *register = value;
        if self.held.is_some() {
            self.held = Some(raw);
        } else if index != register::WEEKDAY {
            self.set(raw, self.time(wall).rem_euclid(SECOND), wall);
        }
        true
    }

    fn is_divider_held(&self) -> bool {
        self.a & a::DIVIDER_RESET == a::DIVIDER_RESET
    }

    /// Follows a change of registers A and B: the time stands still while it is set or the divider is held. The
    /// first second after a reset of the divider is half a second long.
    pub(super) fn hold_or_release(&mut self, wall: u64) {
        let holds = self.b & b::SET != 0 || self.is_divider_held();
        match self.held {
            None if holds => {
                self.held = Some(self.raw(wall));
                self.divider_was_reset = self.is_divider_held();
            }
            Some(raw) if !holds => {
                let fraction = if self.divider_was_reset {
                    SECOND / 2
                } else {
                    self.time(wall).rem_euclid(SECOND)
                };
                self.held = None;
                self.set(raw, fraction, wall);
            }
            Some(_) => self.divider_was_reset |= self.is_divider_held(),
            None => {}
        }
    }

    /// Whether the time is about to change.
    pub(super) fn is_updating(&self, wall: u64) -> bool {
        self.held.is_none() && self.time(wall).rem_euclid(SECOND) >= SECOND - UPDATE
    }

    fn alarm(&self) -> Option<Alarm> {
        let field = |index: u8, decode: &dyn Fn(u8) -> i64, limit: i64| {
            let raw = self.cmos.read(index);
            let value = decode(raw);
            match raw {
                _ if raw & ANY == ANY => Some(None),
                _ if value < limit => Some(Some(value)),
                _ => None,
            }
        };
        Some(Alarm {
            hour: field(register::HOURS_ALARM, &|raw| self.decode_hour(raw), 24)?,
            minute: field(register::MINUTES_ALARM, &|raw| self.decode(raw), 60)?,
            second: field(register::SECONDS_ALARM, &|raw| self.decode(raw), 60)?,
        })
    }

    /// The crystal's ticks of a period; `None` when the rate is off.
    fn period(&self) -> Option<u64> {
        match self.a & a::RATE {
            0 => None,
            // The two highest rates that the crystal can't give are those of 8 and 9.
            rate @ 1..=2 => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
        .filter(|_| !self.is_divider_held())
    }

    /// Brings the flags up to date.
    pub(super) fn update(&mut self, now: u64, wall: u64) {
        let tick = crystal(now);
        if self
            .period()
            .is_some_and(|period| tick / period > self.ticked / period)
        {
            self.flags |= c::PF;
        }
        self.ticked = tick;
        if self.held.is_some() {
            return;
        }
        let second = seconds(self.time(wall));
        if second > self.updated {
            self.flags |= c::UF;
            let strikes = self.alarm().and_then(|alarm| alarm.next(self.updated));
            if strikes.is_some_and(|strikes| strikes <= second) {
                self.flags |= c::AF;
            }
        }
        // Also backwards, when the host's clock was set back.
        self.updated = second;
    }

    /// The level of the IRQ.
    pub(super) fn interrupts(&self) -> bool {
        self.flags & self.b & c::FLAGS != 0
    }

    /// Whether an enabled flag is not set.
    pub(super) fn awaits(&self) -> bool {
        self.b & !self.flags & c::FLAGS != 0
    }

    /// When the next enabled flag that is not set will be, in machine time.
    pub(super) fn deadline(&self, now: u64, wall: u64) -> Option<u64> {
        let awaited = self.b & !self.flags & c::FLAGS;
        let periodic = self
            .period()
            .filter(|_| awaited & c::PF != 0)
            .map(|period| {
                let tick = u128::from((self.ticked / period + 1).saturating_mul(period));
                let at = (tick * 1_000_000_000).div_ceil(CRYSTAL);
                u64::try_from(at).unwrap_or(u64::MAX)
            });
        let running = self.held.is_none();
        let update = (running && awaited & c::UF != 0).then(|| self.updated.saturating_add(1));
        let alarm = (running && awaited & c::AF != 0)
            .then(|| self.alarm().and_then(|alarm| alarm.next(self.updated)))
            .flatten();
        let second = update.into_iter().chain(alarm).min();
        let second = second.map(|second| {
            let left = (i128::from(second) * SECOND - self.time(wall)).max(0);
            now.saturating_add(u64::try_from(left).unwrap_or(u64::MAX))
        });
        periodic.into_iter().chain(second).min()
    }
}
