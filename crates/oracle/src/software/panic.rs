//! What the software processor says when it panics, which is a finding like others.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A panic: where, and its message, whose first line says what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    at: String,
    message: String,
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Panicked>> = const { RefCell::new(None) };
}

impl Panicked {
    /// Where and what, in a line.
    pub(crate) fn summary(&self) -> String {
        let first = self.message.lines().next().unwrap_or_default();
        format!("at {}: {first}", self.at)
    }

    /// What else it said.
    pub(crate) fn details(&self) -> impl Iterator<Item = &str> {
        self.message.lines().skip(1)
    }
}

/// Does something that may panic, which then prints nothing. What it worked on is not to be used again.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    listen();
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    result.map_err(|payload| {
        LAST.take().unwrap_or_else(|| Panicked {
            at: "an unknown place".to_owned(),
            message: message(&*payload),
        })
    })
}

/// Has panics of a quiet thread noted in place of printed.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                return usual(panic);
            }
            let at = panic.location().map(ToString::to_string);
            LAST.set(Some(Panicked {
                at: at.unwrap_or_default(),
                message: message(panic.payload()),
            }));
        }));
    });
}

fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
