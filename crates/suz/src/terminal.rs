//! The terminal of whoever started this program, while it is a guest's.

use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use host::signal::{self, number};
use host::terminal::{self, RawMode};

/// Ctrl-], as in telnet.
pub(crate) const ESCAPE: u8 = 0x1d;

/// Signals that whoever has a terminal waits for.
pub(crate) const SIGNALS: [i32; 6] = [
    number::SIGINT,
    number::SIGTERM,
    number::SIGHUP,
    number::SIGQUIT,
    number::SIGTSTP,
    number::SIGWINCH,
];

/// The terminal at standard input, if there is one.
pub(crate) struct Terminal {
    fd: Option<BorrowedFd<'static>>,
    raw: Mutex<Option<RawMode>>,
}

impl Terminal {
    /// The terminal at standard input, as it is.
    pub(crate) fn at_input() -> Self {
        let fd = io::stdin().is_terminal().then(terminal::standard_input);
        Self {
            fd,
            raw: Mutex::new(None),
        }
    }

    /// No terminal.
    pub(crate) fn none() -> Self {
        Self {
            fd: None,
            raw: Mutex::new(None),
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.fd.is_some()
    }

    /// The key that is not passed on, where keys are typed.
    pub(crate) fn escape(&self) -> Option<u8> {
        self.is_there().then_some(ESCAPE)
    }

    /// Columns and rows of its window.
    pub(crate) fn size(&self) -> Option<(u16, u16)> {
        terminal::size(self.fd?)
    }

    /// Raw mode on, where there is a terminal and it is ours.
    pub(crate) fn take(&self) {
        let Some(fd) = self.fd.filter(|&fd| terminal::is_ours(fd)) else {
            return;
        };
        match RawMode::enter(fd) {
            Ok(raw) => *self.lock() = Some(raw),
            Err(error) => tracing::warn!(%error, "the terminal refuses raw mode"),
        }
    }

    /// Raw mode off.
    pub(crate) fn release(&self) {
        self.lock().take();
    }

    /// Stops this process as the terminal's suspend key would, and returns when it goes on.
    pub(crate) fn suspend(&self) {
        self.release();
        signal::raise(number::SIGSTOP);
        self.take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<RawMode>> {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
