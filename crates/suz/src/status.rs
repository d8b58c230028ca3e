//! Exit statuses.

use std::process::ExitCode;

use machine::Outcome;

/// What the program tells whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// The guest powered off or rebooted, or was left by the escape key.
    pub const DONE: Self = Self(0);
    /// Something about the command line, a file or this host.
    pub const MISTAKE: Self = Self(2);
    /// The guest died, or could not go on.
    pub const DIED: Self = Self(70);

    /// Ended by a signal, as shells count.
    pub fn signal(number: i32) -> Self {
        Self(128_u8.wrapping_add(number as u8))
    }

    /// How a machine ended by itself.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::PoweredOff | Outcome::Reset | Outcome::Stopped => Self::DONE,
            // What kernel developers know from QEMU's isa-debug-exit.
            Outcome::DebugExit(value) => Self(value << 1 | 1),
            Outcome::Shutdown { .. } | Outcome::Failed { .. } | Outcome::NoRestart { .. } => {
                Self::DIED
            }
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_exits_are_odd_and_nothing_else_of_ours_is() {
        assert_eq!(Status::of(&Outcome::DebugExit(0)), Status(1));
        assert_eq!(Status::of(&Outcome::DebugExit(0x10)), Status(0x21));
        assert_eq!(Status::of(&Outcome::DebugExit(0xff)), Status(0xff));
        for ours in [Status::DONE, Status::MISTAKE, Status::DIED] {
            assert_eq!(ours.0 % 2, 0);
        }
        assert_eq!(Status::signal(15), Status(143));
    }
}
