//! Where the guest's console leads: standard input and output, the hub of a machine with a folder, or both.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use anyhow::Context;
use backend::console::Patient;
use backend::{Console, Event, Hub};
use machine::Handle;

use super::Notice;
use crate::terminal::Terminal;

/// Connects the console to standard input and output, and to the hub.
pub(super) fn connect(
    console: &Console,
    hub: Option<Hub>,
    machine: Handle,
    sender: Sender<Notice>,
) -> anyhow::Result<Terminal> {
    let terminal = Terminal::at_input();
    if terminal.is_there() {
        crate::say("this terminal is the guest's console now; Ctrl-] leaves and ends the machine");
    }
    terminal.take();
    let own = |fd: BorrowedFd| Ok::<_, io::Error>(File::from(fd.try_clone_to_owned()?));
    let input = own(io::stdin().as_fd()).context("standard input")?;
    let output = own(io::stdout().as_fd()).context("standard output")?;
    let tell = Arc::new(teller(machine, sender));
    let told = tell.clone();
    let listening = console.listen(input, terminal.escape(), move |event| told(event));
    let tee = Tee {
        hub,
        output: Patient(output),
    };
    let shown = listening.and_then(|()| console.show(tee, move |event| tell(event)));
    shown.context("console threads")?;
    Ok(terminal)
}

/// Connects the console to the hub alone.
pub(super) fn connect_hub(
    console: &Console,
    hub: Hub,
    machine: Handle,
    sender: Sender<Notice>,
) -> anyhow::Result<Terminal> {
    let shown = console.show(hub, teller(machine, sender));
    shown.context("console thread")?;
    Ok(Terminal::none())
}

/// Passes on what the console's threads tell.
fn teller(machine: Handle, sender: Sender<Notice>) -> impl Fn(Event) {
    move |event| {
        let notice = match event {
            Event::Ready => return machine.poll_console(),
            Event::Escape => Notice::Escape,
            Event::Closed(_) => Notice::OutputClosed,
        };
        // Nobody listens any more once the main thread is on its way out.
        let _ = sender.send(notice);
    }
}

/// Standard output and the hub.
struct Tee {
    hub: Option<Hub>,
    output: Patient<File>,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(hub) = &mut self.hub {
            hub.write_all(bytes)?;
        }
        self.output.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
