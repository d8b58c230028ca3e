//! `suz console`: this terminal becomes a running machine's console, until Ctrl-] or the machine's end.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use backend::console::Patient;
use host::signal::{self, Blocked, number};

use crate::Status;
use crate::cli;
use crate::control::{Client, Size};
use crate::folder::{Folder, Machines};
use crate::terminal::{SIGNALS, Terminal};

mod screen;

use screen::Screen;

/// How long it may take until a machine that hung up is seen to have ended.
const END: Duration = Duration::from_secs(2);

/// What the main thread is told.
enum Notice {
    /// A signal arrived.
    Signal(i32),
    /// The escape key was pressed.
    Escape,
    /// Nobody takes what the guest prints.
    OutputClosed,
    /// The machine hung up.
    HungUp,
}

pub(crate) fn run(arguments: &cli::Console) -> anyhow::Result<Status> {
    attach(&Machines::open()?.named(&arguments.name)?)
}

/// Attaches to a machine that runs.
pub(crate) fn attach(folder: &Folder) -> anyhow::Result<Status> {
    let client = folder.client()?;
    let signals = Blocked::new(&SIGNALS).context("blocking signals")?;
    let terminal = Terminal::at_input();
    fit(&terminal, &client);
    let (stream, seen) = client.console()?;
    if terminal.is_there() {
        let name = folder.name();
        crate::say(&format!(
            "this is the console of {name}; Ctrl-] leaves it, and {name} runs on"
        ));
    }
    terminal.take();
    let (sender, notices) = channel();
    listen(&stream, terminal.escape(), sender.clone())?;
    let screen = Arc::new(Mutex::new(Screen::default()));
    show(&stream, seen, screen.clone(), sender.clone())?;
    watch(signals, sender)?;
    let mut end = (Status::DIED, String::new());
    for notice in notices {
        end = match notice {
            Notice::Signal(number::SIGTSTP) => {
                terminal.suspend();
                continue;
            }
            Notice::Signal(number::SIGWINCH) => {
                fit(&terminal, &client);
                continue;
            }
            Notice::Signal(number) => {
                let line = format!("ended by {}", signal::name(number));
                (Status::signal(number), line)
            }
            Notice::Escape => (
                Status::DONE,
                format!("left {}, which runs on", folder.name()),
            ),
            Notice::OutputClosed => {
                let line = "nobody takes the guest's output any more".to_owned();
                (Status::signal(number::SIGPIPE), line)
            }
            Notice::HungUp if folder.wait_free(END) => {
                (Status::DONE, format!("machine {} has ended", folder.name()))
            }
            Notice::HungUp => {
                let line = "hung up: this terminal took nothing for too long".to_owned();
                (Status::MISTAKE, line)
            }
        };
        break;
    }
    // It may be gone already.
    let _ = stream.shutdown(Shutdown::Both);
    if terminal.is_there() && io::stdout().is_terminal() {
        let reset = lock(&screen).reset();
        let _ = io::stdout().write_all(reset.as_bytes());
        let _ = io::stdout().flush();
    }
    terminal.release();
    if terminal.is_there() {
        // The guest's last line may not have ended.
        crate::say_below(&end.1);
    } else {
        crate::say(&end.1);
    }
    Ok(end.0)
}

/// Tells the machine the size of the terminal's window.
fn fit(terminal: &Terminal, client: &Client) {
    if let Some((columns, rows)) = terminal.size()
        && let Err(error) = client.put("/console/size", &Size { columns, rows })
    {
        tracing::warn!("{error:#}");
    }
}

/// Starts the thread that passes on what is typed.
fn listen(stream: &UnixStream, escape: Option<u8>, sender: Sender<Notice>) -> anyhow::Result<()> {
    let mut stream = stream.try_clone().context("the console")?;
    let mut input = Patient(own(io::stdin().as_fd()).context("standard input")?);
    let thread = thread::Builder::new().name("console-in".into());
    thread.spawn(move || {
        let mut bytes = [0; 4096];
        // A terminal that went away is told by SIGHUP, a machine by the other thread.
        while let Ok(count @ 1..) = input.read(&mut bytes) {
            let bytes = &bytes[..count];
            let end = bytes.iter().position(|&byte| Some(byte) == escape);
            if stream.write_all(&bytes[..end.unwrap_or(count)]).is_err() {
                return;
            }
            if end.is_some() {
                let _ = sender.send(Notice::Escape);
            }
        }
    })?;
    Ok(())
}

/// Starts the thread that shows what the guest prints.
fn show(
    stream: &UnixStream,
    seen: Vec<u8>,
    screen: Arc<Mutex<Screen>>,
    sender: Sender<Notice>,
) -> anyhow::Result<()> {
    let stream = stream.try_clone().context("the console")?;
    let mut output = Patient(own(io::stdout().as_fd()).context("standard output")?);
    let thread = thread::Builder::new().name("console-out".into());
    thread.spawn(move || {
        let mut from = io::Cursor::new(seen).chain(stream);
        let mut bytes = vec![0; 64 << 10];
        let notice = loop {
            match from.read(&mut bytes) {
                Ok(count @ 1..) => {
                    let bytes = &bytes[..count];
                    lock(&screen).follow(bytes);
                    if output.write_all(bytes).is_err() {
                        break Notice::OutputClosed;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break Notice::HungUp,
            }
        };
        // Nobody listens any more once the main thread is on its way out.
        let _ = sender.send(notice);
    })?;
    Ok(())
}

/// Starts the thread that waits for signals.
fn watch(signals: Blocked, sender: Sender<Notice>) -> anyhow::Result<()> {
    let thread = thread::Builder::new().name("signals".into());
    thread.spawn(move || {
        while let Ok(signal) = signals.wait() {
            if sender.send(Notice::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own(fd: BorrowedFd) -> io::Result<File> {
    Ok(fd.try_clone_to_owned()?.into())
}
