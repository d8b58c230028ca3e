//! When the alarm strikes next.

const DAY: i64 = 86_400;

/// The time of day at which the alarm strikes; `None` for a field that does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alarm {
    pub(super) hour: Option<i64>,
    pub(super) minute: Option<i64>,
    pub(super) second: Option<i64>,
}

impl Alarm {
    /// The first second after `after` at which it strikes; `None` when its fields are no time of day.
    pub(super) fn next(self, after: i64) -> Option<i64> {
        let start = after.checked_add(1)?;
        let day = start.div_euclid(DAY) * DAY;
        let today = self.first_in_day(start - day).map(|at| day + at);
        today.or_else(|| self.first_in_day(0).map(|at| day + DAY + at))
    }

    /// The first second of a day, from `start` on, at which it strikes.
    fn first_in_day(self, start: i64) -> Option<i64> {
        for hour in field(self.hour, start / 3600, 24) {
            let in_hour = (start - hour * 3600).max(0);
            for minute in field(self.minute, in_hour / 60, 60) {
                let in_minute = (in_hour - minute * 60).max(0);
                if let Some(second) = field(self.second, in_minute, 60).next() {
                    return Some(hour * 3600 + minute * 60 + second);
                }
            }
        }
        None
    }
}

/// The values of a field from `start` on, below `limit`.
fn field(fixed: Option<i64>, start: i64, limit: i64) -> impl Iterator<Item = i64> {
    let (first, last) = fixed.map_or((start, limit - 1), |value| (value, value));
    (first.max(start)..=last.min(limit - 1)).filter(move |value| (0..limit).contains(value))
}
