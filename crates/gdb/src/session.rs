//! One debugger's session.

use std::io::{self, Write};

use gdbstub::common::Signal;
use gdbstub::conn::ConnectionExt;
use gdbstub::stub::run_blocking::{BlockingEventLoop, Event, WaitForStopReasonError};
use gdbstub::stub::{DisconnectReason, GdbStub, MultiThreadStopReason};
use iface::{EngineError, Stop};
use machine::Outcome;
use rustix::event::PollFlags;

use crate::guest::{Guest, thread};
use crate::wire::Wire;

type Reason = MultiThreadStopReason<u64>;

/// What gdbstub asks for while the guest runs.
enum Wait {}

impl BlockingEventLoop for Wait {
    type Target = Guest;
    type Connection = Wire;
    type StopReason = Reason;

    fn wait_for_stop_reason(
        guest: &mut Guest,
        wire: &mut Wire,
    ) -> Result<Event<Reason>, WaitForStopReasonError<EngineError, io::Error>> {
        let mut ready = wire.has_input();
        loop {
            if let Some(reason) = news(guest) {
                return Ok(Event::TargetStopped(reason));
            }
            if ready {
                let byte = wire.read().map_err(WaitForStopReasonError::Connection)?;
                return Ok(Event::IncomingData(byte));
            }
            let input = Some((std::os::fd::AsFd::as_fd(wire), PollFlags::IN));
            ready = guest.debugger.bell().wait(input).ready;
        }
    }

    fn on_interrupt(guest: &mut Guest) -> Result<Option<Reason>, EngineError> {
        guest.debugger.stop();
        Ok(Some(news(guest).unwrap_or(Reason::SignalWithThread {
            tid: thread(0),
            signal: Signal::SIGINT,
        })))
    }
}

/// What the debugger is to hear, if anything.
fn news(guest: &mut Guest) -> Option<Reason> {
    if let Some(outcome) = guest.debugger.outcome() {
        return Some(match outcome {
            Outcome::PoweredOff | Outcome::Reset | Outcome::Stopped => Reason::Exited(0),
            Outcome::DebugExit(value) => Reason::Exited(value),
            Outcome::Shutdown { .. } => Reason::Terminated(Signal::SIGSEGV),
            Outcome::Failed { .. } | Outcome::NoRestart { .. } => {
                Reason::Terminated(Signal::SIGABRT)
            }
        });
    }
    let (processor, stop) = guest.debugger.take_stop()?;
    let tid = thread(processor);
    Some(match stop {
        Stop::Step => Reason::SignalWithThread {
            tid,
            signal: Signal::SIGTRAP,
        },
        Stop::Breakpoint => Reason::SwBreak(tid),
        Stop::Watch(watch) => guest.watch_reason(tid, watch),
    })
}

/// Serves a debugger until it leaves, or the machine ends.
pub(crate) fn run(wire: Wire, guest: &mut Guest) {
    tracing::info!("a debugger has connected");
    guest.debugger.stop();
    let stream = wire.stream();
    match GdbStub::new(wire).run_blocking::<Wait>(guest) {
        Ok(DisconnectReason::Kill) => {
            // gdbstub answers nothing, as one answers `k`; but gdb sends `vKill`, and waits. If it is gone it does not.
            let _ = stream.and_then(|mut stream| stream.write_all(b"$OK#9a"));
            return guest.debugger.end();
        }
        Ok(reason) => tracing::info!("the debugger is done: {reason:?}"),
        Err(error) => tracing::info!("the debugger is gone: {error}"),
    }
    guest.detach();
}
