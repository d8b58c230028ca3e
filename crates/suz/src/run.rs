//! `suz run`: a machine whose serial console is this terminal.
//!
//! The machine, the console and the signals live on threads of their own and report to the main thread, which
//! alone decides when it is over, and restores the terminal on every way out.
//!
//! A machine with a name has a folder, which `home` holds until this process is done with it.

mod ask;
mod console;
mod errand;
mod installed;
mod plan;
mod statistics;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backend::Hub;
use host::signal::{self, Blocked, number};
use machine::spec::EngineKind;
use machine::{Debugger, Handle, Machine, Outcome, Spec};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::control::{Server, Subject};
use crate::terminal::{SIGNALS, Terminal};
use crate::{Status, background, cli, shell};
use plan::{Home, Plan};
use statistics::Statistics;

/// How long the end waits for processors, and for output to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the main thread is told.
enum Notice {
    /// The machine ended.
    Ended(Outcome),
    /// A signal arrived.
    Signal(i32),
    /// The escape key was pressed.
    Escape,
    /// Nobody takes the guest's output any more.
    OutputClosed,
}

/// How the run ended: the status, and a line where one is due.
struct End {
    status: Status,
    line: Option<String>,
}

pub(crate) fn run(arguments: &cli::Run, log: Option<&str>) -> anyhow::Result<Status> {
    if arguments.detach {
        return detach(arguments, log);
    }
    if let Some(folder) = plan::running(arguments)? {
        return shell::run(&cli::Shell {
            name: folder.name().to_string(),
            user: None,
            command: arguments.command.clone(),
        });
    }
    let plan = plan::make(arguments)?;
    if !arguments.command.is_empty() {
        return errand::run(plan, &arguments.command);
    }
    let Plan {
        mut spec,
        mut home,
        rm,
        news,
    } = plan;
    let notice = choose_engine(&mut spec);
    allow_descriptors();
    let signals = Blocked::new(&SIGNALS).context("blocking signals")?;
    let (console, device) = backend::Console::new();
    let machine = Machine::build(&spec, Box::new(device))?;
    notice.iter().chain(&news).for_each(|line| crate::say(line));
    tracing::info!(engine = machine.engine().describe(), "starting");

    let (sender, notices) = channel();
    let handle = machine.handle();
    let hub = home
        .folder()
        .map(|folder| Hub::new(&console, &folder.console_log()));
    let terminal = match &hub {
        Some(hub) if arguments.background => {
            console::connect_hub(&console, hub.clone(), handle.clone(), sender.clone())?
        }
        hub => console::connect(&console, hub.clone(), handle.clone(), sender.clone())?,
    };
    let control = serve(&home, &spec, &handle, hub.as_ref())?;
    fit(&terminal, &handle, hub.as_ref());
    watch(handle.clone(), signals, &sender)?;
    let statistics = match arguments.stats {
        true => Some(Statistics::start(&machine)?),
        false => None,
    };
    let debugger = debugger(arguments, &machine)?;
    home.settle(rm);
    handle.resume();
    if let Some(folder) = home.folder().filter(|_| arguments.background) {
        background::ready(folder)?;
    }
    let end = supervise(&notices, &handle, &terminal, hub.as_ref());

    handle.stop();
    let quiet = handle.wait_quiet(PATIENCE);
    console.flush(PATIENCE);
    drop(control);
    if let Some(hub) = hub {
        hub.finish(PATIENCE);
    }
    drop(terminal);
    if let Some(server) = debugger {
        server.finish(PATIENCE);
    }
    if let Some(line) = end.line {
        crate::say(&line);
    }
    if let Some(statistics) = statistics {
        crate::say(&statistics.report(&handle));
    }
    if !quiet {
        // A processor that does not stop holds nothing up: the process ends with it.
        tracing::warn!("a processor did not stop in time");
        std::mem::forget(machine);
    }
    Ok(end.status)
}

/// Lets the process have as many descriptors as the host allows: a guest's sockets and shared files take many.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "the limit of descriptors stays");
    }
}

/// The server for debuggers, if one is wanted.
fn debugger(arguments: &cli::Run, machine: &Machine) -> anyhow::Result<Option<gdb::Server>> {
    let Some(asked) = &arguments.gdb else {
        return Ok(None);
    };
    let debugger = Debugger::new(machine).context("a bell for the debugger")?;
    let server = gdb::Server::start(&asked.place, debugger, asked.waits);
    let server = server.with_context(|| format!("--gdb {}", asked.place))?;
    let verb = if asked.waits { "waits" } else { "listens" };
    let place = server.place();
    crate::say(&format!(
        "{verb} for a debugger: gdb VMLINUX -ex 'target remote {place}'"
    ));
    Ok(Some(server))
}

/// Makes the machine, and has another process run it.
fn detach(arguments: &cli::Run, log: Option<&str>) -> anyhow::Result<Status> {
    let needs_name = "a machine in the background needs a name: --name NAME";
    if arguments.name.is_none() && arguments.image.is_none() {
        bail!(needs_name);
    }
    let Plan {
        mut home, rm, news, ..
    } = plan::make(arguments)?;
    if home.folder().is_none() {
        bail!(needs_name);
    }
    let options: Vec<&str> = [(rm, "--rm"), (arguments.stats, "--stats")]
        .into_iter()
        .filter_map(|(is_asked, option)| is_asked.then_some(option))
        .collect();
    let status = home.hand_over(|folder| background::start(folder, &options, log))?;
    if status == Status::DONE {
        news.iter().for_each(|line| crate::say(line));
    }
    Ok(status)
}

/// Lets others look at a machine with a folder, and control it.
fn serve(
    home: &Home,
    spec: &Spec,
    machine: &Handle,
    hub: Option<&Hub>,
) -> anyhow::Result<Option<Server>> {
    let Some((folder, hub)) = home.folder().zip(hub) else {
        return Ok(None);
    };
    let path = folder.control();
    let subject = Subject {
        name: folder.name().to_string(),
        spec: spec.clone(),
        started: Instant::now(),
        machine: machine.clone(),
        hub: hub.clone(),
    };
    let server = Server::start(&path, subject);
    server.map(Some).with_context(|| path.display().to_string())
}

/// Tells the guest the size of the terminal's window.
fn fit(terminal: &Terminal, machine: &Handle, hub: Option<&Hub>) {
    if let Some((columns, rows)) = terminal.size() {
        machine.resize_console(columns, rows);
        if let Some(hub) = hub {
            hub.resize(columns, rows);
        }
    }
}

/// Settles which engine runs the guest, and what to say where somebody may wonder.
fn choose_engine(spec: &mut Spec) -> Option<String> {
    if spec.lockstep.is_some() && spec.engine == EngineKind::Auto {
        spec.engine = EngineKind::Soft;
    }
    if spec.engine != EngineKind::Auto {
        return None;
    }
    let choice = machine::choose(spec.cpus);
    tracing::info!("{choice}");
    spec.engine = choice.kind;
    choice.surprises.then(|| choice.to_string())
}

/// Starts the threads that wait for the machine's end and for signals.
fn watch(machine: Handle, signals: Blocked, sender: &Sender<Notice>) -> anyhow::Result<()> {
    let ended = sender.clone();
    let waiter = thread::Builder::new().name("end".into());
    // Nobody listens any more once the main thread is on its way out.
    waiter.spawn(move || drop(ended.send(Notice::Ended(machine.wait()))))?;
    let sender = sender.clone();
    let waiter = thread::Builder::new().name("signals".into());
    waiter.spawn(move || {
        while let Ok(signal) = signals.wait() {
            if sender.send(Notice::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Waits until it is over.
fn supervise(
    notices: &Receiver<Notice>,
    machine: &Handle,
    terminal: &Terminal,
    hub: Option<&Hub>,
) -> End {
    let end = |status, line: &str| End {
        status,
        line: Some(line.to_owned()),
    };
    loop {
        match notices.recv() {
            Ok(Notice::Ended(outcome)) => return ended(&outcome),
            // The guest's time stands still until this process goes on.
            Ok(Notice::Signal(number::SIGTSTP)) => {
                machine.pause();
                terminal.suspend();
                machine.resume();
            }
            Ok(Notice::Signal(number::SIGWINCH)) => fit(terminal, machine, hub),
            Ok(Notice::Signal(signal)) => {
                let line = format!("ended by {}", signal::name(signal));
                return end(Status::signal(signal), &line);
            }
            Ok(Notice::Escape) => return end(Status::DONE, "left the guest"),
            Ok(Notice::OutputClosed) => {
                let status = Status::signal(number::SIGPIPE);
                return end(status, "nobody takes the guest's output any more");
            }
            Err(_) => return end(Status::DIED, "the monitor's own threads ended"),
        }
    }
}

/// The machine ended by itself.
fn ended(outcome: &Outcome) -> End {
    let line = match outcome {
        Outcome::PoweredOff | Outcome::Reset | Outcome::DebugExit(_) | Outcome::Stopped => None,
        _ => Some(outcome.to_string()),
    };
    End {
        status: Status::of(outcome),
        line,
    }
}
