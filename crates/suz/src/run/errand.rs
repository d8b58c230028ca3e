//! One command in a machine: it starts, the command runs by ssh over vsock, and the machine ends.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backend::Hub;
use host::signal::{self, Blocked, number};
use machine::{Handle, Machine};

use super::plan::Plan;
use super::{PATIENCE, choose_engine};
use crate::{Status, control, personal, shell, vsock};

/// How long a machine may take to let somebody in, and to shut down.
const START: Duration = Duration::from_secs(300);
const END: Duration = Duration::from_secs(90);
/// Between two looks.
const STEP: Duration = Duration::from_millis(50);
/// Most bytes of an answer and a greeting.
const GREETING: usize = 512;

pub(super) fn run(plan: Plan, words: &[String]) -> anyhow::Result<Status> {
    let Plan {
        mut spec,
        mut home,
        rm,
        ..
    } = plan;
    let name = home.folder().map(|folder| folder.name().to_string());
    let name = name.context("a machine without a folder")?;
    let socket = vsock::socket(&spec).with_context(|| vsock::lacking(&name))?;
    let socket = socket.to_owned();
    // That the processor is software is no news to a script.
    let _ = choose_engine(&mut spec);
    // The command has the terminal: an interrupt is its own.
    let signals = [
        number::SIGINT,
        number::SIGTERM,
        number::SIGHUP,
        number::SIGQUIT,
    ];
    let signals = Blocked::new(&signals).context("blocking signals")?;
    let (console, device) = backend::Console::new();
    let machine = Machine::build(&spec, Box::new(device))?;
    let handle = machine.handle();
    let folder = home.folder().context("a machine without a folder")?;
    let hub = Hub::new(&console, &folder.console_log());
    let poll = move |_| handle.poll_console();
    let shown = console.show(hub.clone(), poll);
    shown.context("console thread")?;
    let control = super::serve(&home, &spec, &machine.handle(), Some(&hub))?;
    home.settle(rm);
    machine.handle().resume();

    let (sender, received) = channel();
    let waiter = thread::Builder::new().name("signals".into());
    waiter.spawn(move || {
        while signals
            .wait()
            .is_ok_and(|signal| sender.send(signal).is_ok())
        {}
    })?;
    // Whoever asks to stop is heard; what the terminal sends is for the command, once it is there.
    let is_asked = |is_waiting: bool| {
        let mut asked = received.try_iter();
        asked.find(|&signal| is_waiting || [number::SIGTERM, number::SIGHUP].contains(&signal))
    };
    let end = errand(&machine.handle(), &socket, &name, words, &is_asked);
    if !rm && machine.handle().outcome().is_none() {
        machine.handle().press_power_button();
        wait(END, || machine.handle().outcome().is_some());
    }
    machine.handle().stop();
    machine.handle().wait_quiet(PATIENCE);
    console.flush(PATIENCE);
    drop(control);
    hub.finish(PATIENCE);
    end
}

/// Waits until the machine lets somebody in, and runs the command there.
fn errand(
    machine: &Handle,
    socket: &Path,
    name: &str,
    words: &[String],
    is_asked: &dyn Fn(bool) -> Option<i32>,
) -> anyhow::Result<Status> {
    let mut asked = None;
    let mut knock = Knock {
        socket,
        stream: None,
        heard: Vec::new(),
    };
    let is_over = || {
        asked = asked.or(is_asked(true));
        asked.is_some() || machine.outcome().is_some() || knock.is_answered()
    };
    let is_there = wait(START, is_over);
    drop(knock);
    if let Some(signal) = asked {
        bail!("ended by {}", signal::name(signal));
    }
    if let Some(outcome) = machine.outcome() {
        bail!("{outcome}, before the command could be run");
    }
    if !is_there {
        bail!(
            "the machine did not let anybody in within {} seconds",
            START.as_secs()
        );
    }
    let mut ssh = shell::ssh(socket, Duration::ZERO, &personal::user(), name, words)?;
    let mut child = ssh.spawn().context(shell::NEEDED)?;
    loop {
        if let Some(status) = child.try_wait().context("ssh")? {
            return Ok(shell::ended(status));
        }
        if let Some(signal) = is_asked(false) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(Status::signal(signal));
        }
        thread::sleep(STEP / 5);
    }
}

/// Waits until something is so; whether it came to be.
fn wait(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(STEP);
    }
    true
}

/// Somebody who knocks at a machine's socket, and waits at it: each knock that the guest has heard starts an sshd.
struct Knock<'a> {
    socket: &'a Path,
    stream: Option<UnixStream>,
    /// What was said so far: that there is a connection, and then by an sshd.
    heard: Vec<u8>,
}

impl Knock<'_> {
    /// Whether an sshd has answered.
    fn is_answered(&mut self) -> bool {
        let heard = self.listen();
        if heard.is_err() {
            self.stream = None;
            self.heard.clear();
        }
        heard.unwrap_or(false)
    }

    fn listen(&mut self) -> io::Result<bool> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let mut stream = control::connect(self.socket)?;
                writeln!(stream, "CONNECT {}", shell::PORT)?;
                stream.set_nonblocking(true)?;
                self.stream.insert(stream)
            }
        };
        let mut bytes = [0; GREETING];
        match stream.read(&mut bytes) {
            Ok(count) if count > 0 && self.heard.len() < GREETING => {
                self.heard.extend(&bytes[..count]);
            }
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let mut lines = self.heard.splitn(2, |&byte| byte == b'\n');
        Ok(lines.nth(1).is_some_and(|line| line.starts_with(b"SSH-")))
    }
}
