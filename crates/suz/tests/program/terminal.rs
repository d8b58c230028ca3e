//! The program on a terminal: raw while it runs, restored whatever happens.
#![allow(
    unsafe_code,
    reason = "a session of its own, whose terminal is the pty"
)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::background::Machines;
use crate::support::{
    CHATTER, DIE, ECHO, Folder, PATIENCE, expect, kernel, run, send, wait_status,
};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A terminal, and the program in its foreground.
struct Session {
    /// The keyboard's and screen's side.
    master: File,
    /// Kept open, so that settings survive the program.
    slave: OwnedFd,
    child: Child,
}

impl Session {
    fn new(kernel: &Path) -> Self {
        Self::with_output(kernel, None)
    }

    /// With standard output elsewhere.
    fn with_output(kernel: &Path, output: Option<OwnedFd>) -> Self {
        Self::of(run(kernel), output)
    }

    /// With this command in the foreground.
    fn of(mut command: Command, output: Option<OwnedFd>) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        command
            .stdin(end())
            .stdout(output.map_or_else(end, Stdio::from))
            .stderr(end());
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        Self {
            master: master.into(),
            slave: slave.into(),
            child,
        }
    }

    /// Whether keys are handed over one by one and not echoed.
    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Waits until the guest runs, on a raw terminal.
    fn started(&mut self) {
        expect(&mut self.master, b"!");
        assert!(self.is_raw());
    }

    /// Waits for the end; the terminal is what it was.
    fn ended(&mut self) -> Option<i32> {
        let status = wait_status(&mut self.child);
        assert!(!self.is_raw(), "the terminal was left raw");
        status.code()
    }

    fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn keys_reach_the_guest_and_the_escape_key_leaves() {
    let folder = Folder::new("escape");
    let mut session = Session::new(&folder.file("k", &kernel(ECHO)));
    session.started();
    send(&mut session.master, b"a\x03\x1a\x04z");
    expect(&mut session.master, b"a\x03\x1a\x04z");
    send(&mut session.master, b"\x1d");
    expect(&mut session.master, b"suz: left the guest");
    assert_eq!(session.ended(), Some(0));
}

#[test]
fn a_signal_restores_the_terminal() {
    let folder = Folder::new("tty-signal");
    let kernel = folder.file("k", &kernel(ECHO));
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut session = Session::new(&kernel);
        session.started();
        crate::support::signal(&session.child, signal);
        assert_eq!(session.ended(), Some(128 + signal.as_raw()));
    }
}

#[test]
fn a_dying_guest_restores_the_terminal() {
    let folder = Folder::new("tty-die");
    let mut session = Session::new(&folder.file("k", &kernel(DIE)));
    expect(&mut session.master, b"the guest died");
    assert_eq!(session.ended(), Some(70));
}

#[test]
fn a_crash_of_the_monitor_restores_the_terminal() {
    let folder = Folder::new("tty-crash");
    let kernel = folder.file("k", &kernel(ECHO));
    for signal in [Signal::SEGV, Signal::ABORT, Signal::BUS] {
        let mut session = Session::new(&kernel);
        session.started();
        crate::support::signal(&session.child, signal);
        assert_eq!(session.ended(), None, "killed by the signal itself");
    }
}

#[test]
fn suspending_gives_the_terminal_back_and_continuing_takes_it() {
    let folder = Folder::new("tty-stop");
    let mut session = Session::new(&folder.file("k", &kernel(ECHO)));
    session.started();
    crate::support::signal(&session.child, Signal::TSTP);
    let status = waitpid(Some(session.process()), WaitOptions::UNTRACED).unwrap();
    assert!(status.is_some_and(|(_, status)| status.stopped()));
    assert!(!session.is_raw());
    crate::support::signal(&session.child, Signal::CONT);
    let end = Instant::now() + PATIENCE;
    while !session.is_raw() {
        assert!(Instant::now() < end, "the terminal was not taken again");
        std::thread::sleep(Duration::from_millis(2));
    }
    send(&mut session.master, b"back");
    expect(&mut session.master, b"back");
    send(&mut session.master, b"\x1d");
    assert_eq!(session.ended(), Some(0));
}

#[test]
fn a_terminal_that_goes_away_ends_the_run() {
    let folder = Folder::new("tty-gone");
    let mut session = Session::new(&folder.file("k", &kernel(CHATTER)));
    expect(&mut session.master, b"xx");
    let gone = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    // Closing the last descriptor of the master hangs the terminal up.
    drop(std::mem::replace(&mut session.master, gone.into()));
    let status = wait_status(&mut session.child).code();
    assert!(matches!(status, Some(129 | 141)), "{status:?}");
}

#[test]
fn input_from_a_terminal_works_with_output_to_a_pipe() {
    let folder = Folder::new("tty-pipe");
    let kernel = folder.file("k", &kernel(ECHO));
    let (mut read, write) = io::pipe().unwrap();
    let mut session = Session::with_output(&kernel, Some(write.into()));
    expect(&mut read, b"!");
    send(&mut session.master, b"ok");
    let mut echoed = [0; 2];
    read.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"ok");
    send(&mut session.master, b"\x1d");
    assert_eq!(session.ended(), Some(0));
}

#[test]
fn a_console_is_left_by_the_escape_key_and_the_machine_runs_on() {
    let machines = Machines::new("tty-console");
    machines.start("a", ECHO, &[]);
    let mut session = Session::of(machines.suz(&["console", "a"]), None);
    expect(&mut session.master, b"Ctrl-] leaves it, and a runs on");
    session.started();
    send(&mut session.master, b"a\x03\x1a\x04z");
    expect(&mut session.master, b"a\x03\x1a\x04z");
    send(&mut session.master, b"\x1d");
    expect(&mut session.master, b"suz: left a, which runs on");
    assert_eq!(session.ended(), Some(0));
    assert_eq!(machines.state(), "running");
}

#[test]
fn whatever_ends_a_console_restores_the_terminal() {
    let machines = Machines::new("tty-ends");
    machines.start("a", ECHO, &[]);
    let attach = || {
        let mut session = Session::of(machines.suz(&["console", "a"]), None);
        session.started();
        session
    };
    for (signal, status) in [(Signal::TERM, Some(143)), (Signal::SEGV, None)] {
        let mut session = attach();
        crate::support::signal(&session.child, signal);
        assert_eq!(session.ended(), status);
    }
    let mut session = attach();
    machines.good(&["stop", "--force", "a"]);
    expect(&mut session.master, b"suz: machine a has ended");
    assert_eq!(session.ended(), Some(0));
    // A machine whose process was killed can't say good-bye.
    machines.good(&["start", "a"]);
    let mut session = attach();
    let pid = machines.first()["pid"].as_i64().unwrap() as i32;
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    expect(&mut session.master, b"suz: machine a has ended");
    assert_eq!(session.ended(), Some(0));
}

#[test]
fn a_machine_is_started_and_attached_to_in_one() {
    let machines = Machines::new("tty-attach");
    machines.start("a", ECHO, &[]);
    machines.good(&["stop", "--force", "a"]);
    let mut session = Session::of(machines.suz(&["start", "--attach", "a"]), None);
    session.started();
    send(&mut session.master, b"\x1d");
    assert_eq!(session.ended(), Some(0));
    assert_eq!(machines.state(), "running");
}
