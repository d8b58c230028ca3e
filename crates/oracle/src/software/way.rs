//! The ways in which the software processor executes programs. All must come to the same end.

use std::sync::Arc;

use mem::GuestRam;
use soft::Stepper;
use x86::Exception;

/// Runs until RIP has a value, an exception, or for so many instructions. An exception comes with the linear address
/// of a page fault.
pub type Run = fn(&mut Stepper, u64, u64) -> Option<(Exception, u64)>;

/// A way to execute programs.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// For reports.
    pub name: &'static str,
    /// Makes the processor.
    pub make: fn(Arc<GuestRam>) -> Stepper,
    /// Runs it.
    pub run: Run,
}

/// One instruction at a time.
pub const STEP: Way = Way {
    name: "step",
    make: Stepper::new,
    run: step,
};

/// All of it translated.
pub const TRANSLATED: Way = Way {
    name: "translated",
    make: Stepper::with_translation,
    run: Stepper::run,
};

/// The same, each piece beside the interpreter. A difference panics.
pub const IN_STEP: Way = Way {
    name: "in step",
    make: Stepper::in_step,
    run: Stepper::run,
};

/// All ways; the first is the one that the others are compared with.
pub const ALL: &[Way] = &[STEP, TRANSLATED, IN_STEP];

fn step(stepper: &mut Stepper, until: u64, most: u64) -> Option<(Exception, u64)> {
    for _ in 0..most {
        if stepper.rip() == until {
            return None;
        }
        let exception = stepper.step();
        if exception.is_some() {
            return exception;
        }
    }
    None
}
