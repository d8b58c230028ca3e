//! A monitor that runs, and what its guest says.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

/// A guest that says nothing for so long is stuck.
const SILENCE: Duration = Duration::from_secs(600);

/// A running monitor; it is killed when this is dropped.
pub(crate) struct Console {
    child: Child,
    output: Receiver<Vec<u8>>,
}

impl Console {
    /// Starts a monitor whose standard output is its guest's console.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("{program} could not be started"))?;
        let mut pipe = child.stdout.take().context("the output is piped")?;
        let (sender, output) = channel();
        // Ends with the pipe, or at the first output after the receiver is gone.
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut part) {
                if sender.send(part[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, output })
    }

    /// The monitor's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the guest says next; None when the monitor has ended.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match self.output.recv_timeout(SILENCE) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("said nothing for {} seconds", SILENCE.as_secs())
            }
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
