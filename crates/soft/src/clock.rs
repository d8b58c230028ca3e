//! The time-stamp counter: the machine's clock at the TSC's frequency.

use crate::cpu::Cpu;
use crate::engine::Shared;

/// Converts between nanoseconds and TSC ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    khz: u32,
}

/// Ticks per nanosecond when the TSC counts nanoseconds.
const NANOSECONDS: u32 = 1_000_000;

impl Scale {
    pub(crate) fn new(khz: u32) -> Self {
        Self { khz }
    }

    pub(crate) fn khz(self) -> u32 {
        self.khz
    }

    /// Ticks in a time.
    #[inline]
    pub(crate) fn ticks(self, nanoseconds: u64) -> u64 {
        if self.khz == NANOSECONDS {
            return nanoseconds;
        }
        (u128::from(nanoseconds) * u128::from(self.khz) / u128::from(NANOSECONDS)) as u64
    }

    /// The time that ticks take, rounded up, so that a deadline has passed when it is over.
    pub(crate) fn nanoseconds(self, ticks: u64) -> u64 {
        if self.khz == NANOSECONDS {
            return ticks;
        }
        let exact = (u128::from(ticks) * u128::from(NANOSECONDS)).div_ceil(u128::from(self.khz));
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    /// Multiplier and shift that turn ticks into nanoseconds as the paravirtual clock does:
    /// `(ticks << shift) * multiplier >> 32`.
    pub(crate) fn paravirtual(self) -> (u32, i8) {
        let ratio = |shift: i32| {
            let scaled = (u128::from(NANOSECONDS) << (64 - shift)) / u128::from(self.khz);
            scaled >> 32
        };
        let shift = (-31..=31)
            .find(|&shift| ratio(shift) <= u128::from(u32::MAX))
            .unwrap_or(0);
        (ratio(shift) as u32, shift as i8)
    }
}

impl Shared {
    /// The TSC that counts from an offset.
    pub(crate) fn tsc(&self, offset: u64) -> u64 {
        self.scale.ticks(self.clock.now()).wrapping_add(offset)
    }
}

impl Cpu {
    /// Nanoseconds of machine time.
    pub(crate) fn now(&self) -> u64 {
        self.shared.clock.now()
    }

    /// The TSC.
    pub(crate) fn tsc(&self) -> u64 {
        self.shared.tsc(self.tsc_offset)
    }

    /// The TSC at a moment of machine time.
    pub(crate) fn tsc_at(&self, now: u64) -> u64 {
        self.shared.scale.ticks(now).wrapping_add(self.tsc_offset)
    }

    /// The moment of machine time at which the TSC reaches a value; `now` when that is past.
    pub(crate) fn when_tsc(&self, value: u64, now: u64) -> u64 {
        let ahead = value.wrapping_sub(self.tsc_at(now)) as i64;
        match u64::try_from(ahead) {
            Ok(ahead) => now.saturating_add(self.shared.scale.nanoseconds(ahead)),
            Err(_) => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_pace() {
        for khz in [1_000_000, 1_234_567, 2_400_000, 3_999_999] {
            let scale = Scale::new(khz);
            let year = 365 * 86_400 * 1_000_000_000_u64;
            assert_eq!(scale.ticks(1_000_000_000), u64::from(khz) * 1000);
            assert_eq!(scale.ticks(year), u64::from(khz) * (year / 1_000_000));
            assert_eq!(scale.nanoseconds(scale.ticks(year)), year);
            for time in [1, 17, 999_999, 123_456_789] {
                assert!(scale.ticks(scale.nanoseconds(time)) >= time);
            }
        }
    }

    #[test]
    fn tells_the_paravirtual_clock_its_pace() {
        assert_eq!(Scale::new(1_000_000).paravirtual(), (1 << 31, 1));
        for khz in [1_000, 999_999, 2_400_000, 10_000_000] {
            let (multiplier, shift) = Scale::new(khz).paravirtual();
            assert!(multiplier >= 1 << 31, "all bits of precision");
            let ticks = f64::from(khz) * 1000.0;
            let second = ticks * f64::from(shift).exp2() * f64::from(multiplier) / 32_f64.exp2();
            assert!((second - 1e9).abs() < 1.0, "{second} for {khz}");
        }
    }
}
