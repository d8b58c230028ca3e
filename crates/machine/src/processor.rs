//! The threads that run virtual processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use device::lock;
use iface::{EngineError, Exit, Io, Vcpu};

use crate::control::Control;
use crate::{Error, Outcome};

/// A processor: its thread's while that is between [`Control::enter`] and [`Control::leave`].
pub(crate) type Processor = Arc<Mutex<Box<dyn Vcpu>>>;

/// Starts the thread of one processor; it waits for [`Control::resume`] and lives until the machine ends.
pub(crate) fn spawn(
    id: u32,
    vcpu: Processor,
    io: Arc<dyn Io>,
    control: Arc<Control>,
) -> Result<JoinHandle<()>, Error> {
    let body = move || {
        while control.enter(id) {
            let run = catch_unwind(AssertUnwindSafe(|| lock(&vcpu).run(&io)));
            if let Ok(Ok(Exit::Breakpoint(stop))) = run {
                control.stop(id, stop);
            }
            let end = match run {
                Ok(Ok(Exit::Reset)) => {
                    control.reset();
                    None
                }
                Ok(exit) => ending(id, exit),
                Err(_) => Some(Outcome::Failed {
                    vcpu: id,
                    reason: "a defect of the monitor, reported above".into(),
                }),
            };
            if let Some(outcome) = end {
                control.end(outcome);
            }
            control.leave();
        }
    };
    thread::Builder::new()
        .name(format!("vcpu{id}"))
        .spawn(body)
        .map_err(Error::Thread)
}

/// Whether a processor's exit ends the machine.
fn ending(vcpu: u32, exit: Result<Exit, EngineError>) -> Option<Outcome> {
    match exit {
        Ok(Exit::Kicked | Exit::Breakpoint(_) | Exit::Reset) => None,
        Ok(Exit::Shutdown(shutdown)) => Some(Outcome::Shutdown { vcpu, shutdown }),
        Err(error) => {
            if let EngineError::Differs { report, .. } = &error {
                tracing::error!("what differs\n{}", report.trim_end());
            }
            Some(Outcome::Failed {
                vcpu,
                reason: describe(&error),
            })
        }
    }
}

/// An error and its sources in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| {
        format!("{text}: {source}")
    })
}
