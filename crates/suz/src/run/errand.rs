//! One command in a machine: it starts, the command runs by ssh, and the machine ends.

use std::io::{IsTerminal, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backend::Hub;
use host::signal::{self, Blocked, number};
use machine::{Handle, Machine};

use super::plan::Plan;
use super::{PATIENCE, choose_engine, installed};
use crate::{Status, personal};

/// How long a machine may take to let somebody in, and to shut down.
const START: Duration = Duration::from_secs(300);
const END: Duration = Duration::from_secs(90);
/// Between two looks.
const STEP: Duration = Duration::from_millis(100);

pub(super) fn run(plan: Plan, words: &[String]) -> anyhow::Result<Status> {
    let Plan {
        mut spec,
        mut home,
        rm,
        ..
    } = plan;
    let port = installed::way_in(&mut spec)?;
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
    let end = errand(&machine.handle(), port, words, &is_asked);
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
    port: u16,
    words: &[String],
    is_asked: &dyn Fn(bool) -> Option<i32>,
) -> anyhow::Result<Status> {
    let mut asked = None;
    let is_over = || {
        asked = asked.or(is_asked(true));
        asked.is_some() || machine.outcome().is_some() || answers(port)
    };
    let is_there = wait(START, is_over);
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
    let mut child = ssh(port, words)?;
    loop {
        if let Some(status) = child.try_wait().context("ssh")? {
            return Ok(told(status));
        }
        if let Some(signal) = is_asked(false) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(Status::signal(signal));
        }
        thread::sleep(STEP / 10);
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

/// Whether an ssh server answers.
fn answers(port: u16) -> bool {
    let greets = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting)?;
        std::io::Result::Ok(greeting == *b"SSH-")
    };
    greets().unwrap_or(false)
}

/// The host's ssh with the command. The way there is this host's own, so the machine needs to prove nothing.
fn ssh(port: u16, words: &[String]) -> anyhow::Result<Child> {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-i"]).arg(personal::key()?);
    for option in [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
    ] {
        ssh.args(["-o", option]);
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        ssh.arg("-t");
    }
    ssh.args(["-p", &port.to_string()]);
    ssh.arg(format!("{}@127.0.0.1", personal::user())).arg("--");
    ssh.arg(line(words));
    ssh.spawn()
        .context("ssh, which runs commands in machines: install openssh-client")
}

/// The words as a shell reads them, each in quotes.
fn line(words: &[String]) -> String {
    let quoted = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    quoted.collect::<Vec<_>>().join(" ")
}

/// How the command ended.
fn told(status: ExitStatus) -> Status {
    use std::os::unix::process::ExitStatusExt;
    match status.code() {
        Some(code) => Status(code as u8),
        None => Status::signal(status.signal().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        let words = ["sh", "-c", "echo \"it's\" $HOME"].map(str::to_owned);
        assert_eq!(line(&words), r#"'sh' '-c' 'echo "it'\''s" $HOME'"#);
    }
}
