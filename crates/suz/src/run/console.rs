//! The guest's serial console on standard input and output.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use backend::{Console, Event};
use host::terminal::{self, RawMode};
use machine::Handle;

use super::Notice;

/// Ctrl-], as in telnet.
const ESCAPE: u8 = 0x1d;

/// The terminal in raw mode, where standard input is one.
pub(super) struct Terminal {
    /// Standard input, if it is a terminal of ours.
    fd: Option<BorrowedFd<'static>>,
    raw: Mutex<Option<RawMode>>,
}

impl Terminal {
    /// Connects the console to standard input and output.
    pub(super) fn connect(
        console: &Console,
        machine: Handle,
        sender: Sender<Notice>,
    ) -> anyhow::Result<Self> {
        let (input, output) = (io::stdin(), io::stdout());
        let terminal = Self {
            fd: input.is_terminal().then(terminal::standard_input),
            raw: Mutex::new(None),
        };
        if terminal.fd.is_some() {
            crate::say(
                "this terminal is the guest's console now; Ctrl-] leaves and ends the machine",
            );
        }
        terminal.take();
        let escape = input.is_terminal().then_some(ESCAPE);
        let own = |fd: BorrowedFd| Ok::<_, io::Error>(File::from(fd.try_clone_to_owned()?));
        let input = own(input.as_fd()).context("standard input")?;
        let output = own(output.as_fd()).context("standard output")?;
        let tell = move |event| {
            let notice = match event {
                Event::Ready => return machine.poll_console(),
                Event::Escape => Notice::Escape,
                Event::Closed(_) => Notice::OutputClosed,
            };
            // Nobody listens any more once the main thread is on its way out.
            let _ = sender.send(notice);
        };
        console
            .connect(input, output, escape, tell)
            .context("console threads")?;
        Ok(terminal)
    }

    /// Raw mode on, where there is a terminal and it is ours.
    pub(super) fn take(&self) {
        let Some(fd) = self.fd.filter(|&fd| terminal::is_ours(fd)) else {
            return;
        };
        match RawMode::enter(fd) {
            Ok(raw) => *self.lock() = Some(raw),
            Err(error) => tracing::warn!(%error, "the terminal refuses raw mode"),
        }
    }

    /// Raw mode off.
    pub(super) fn release(&self) {
        self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<RawMode>> {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
