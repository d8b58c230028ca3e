//! Machines in the background: started, looked at, stopped, killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    Done, ECHO, Folder, PATIENCE, SPIN, debug_exit, expect, finish, kernel, send, suz,
};

/// A data folder, whose machines are ended with it.
pub(crate) struct Machines {
    folder: Folder,
}

impl Machines {
    pub(crate) fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        Self { folder }
    }

    /// The program with these machines.
    pub(crate) fn suz(&self, words: &[&str]) -> Command {
        let mut command = suz();
        command.args(words).env("SUZ_DATA", self.folder.path());
        command
    }

    pub(crate) fn done(&self, words: &[&str]) -> Done {
        finish(&mut self.suz(words))
    }

    /// Does it, which works.
    pub(crate) fn good(&self, words: &[&str]) -> String {
        let done = self.done(words);
        assert_eq!(done.code(), Some(0), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap() + &done.stderr
    }

    /// Does it, which is refused by one line.
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let done = self.done(words);
        let line = done.stderr.strip_suffix('\n').unwrap_or_default();
        assert_eq!(done.code(), Some(2), "{done:?}");
        assert!(line.starts_with("suz: ") && !line.contains('\n'), "{line}");
        line.to_owned()
    }

    /// Starts a machine of this code in the background.
    pub(crate) fn start(&self, name: &str, code: &[u8], more: &[&str]) {
        let kernel = self.folder.file(&format!("kernel-{name}"), &kernel(code));
        let mut words = vec!["run", "--detach", "--engine", "soft", "--memory", "16M"];
        words.extend(["--name", name, "--kernel", kernel.to_str().unwrap()]);
        words.extend(more);
        assert_eq!(self.good(&words), "");
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("machines").join(name)
    }

    /// What `suz ls --json` says of the first machine.
    pub(crate) fn first(&self) -> Value {
        let rows: Value = serde_json::from_str(&self.good(&["ls", "--json"])).unwrap();
        rows[0].clone()
    }

    pub(crate) fn state(&self) -> String {
        self.first()["state"].as_str().unwrap_or("gone").to_owned()
    }

    pub(crate) fn wait_for(&self, state: &str) {
        let end = Instant::now() + PATIENCE;
        while self.state() != state {
            assert!(Instant::now() < end, "{}", self.first());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client of a machine's console.
    pub(crate) fn console(&self, name: &str) -> Child {
        let mut command = self.suz(&["console", name]);
        command.stdin(std::process::Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.folder.path().join("machines"))
            .into_iter()
            .flatten()
        {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let _ = self.suz(&["rm", "--force", &name]).output();
        }
    }
}

/// Sockets of machines whose data folder has a path longer than any socket's address.
#[test]
fn a_data_folder_may_have_a_long_path() {
    let machines = Machines::new("long");
    let data = machines.data().join("x".repeat(120)).join("y".repeat(120));
    std::fs::create_dir_all(&data).unwrap();
    let kernel = machines.folder.file("k", &kernel(SPIN));
    let suz = |words: &[&str]| {
        let done = finish(machines.suz(words).env("SUZ_DATA", &data));
        assert_eq!(done.code(), Some(0), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let vsock = data.join("vsock");
    let start = [
        "run", "-d", "--engine", "soft", "--memory", "16M", "--name", "a",
    ];
    let more = [
        "--kernel",
        kernel.to_str().unwrap(),
        "--port",
        "p",
        "--vsock",
    ];
    suz(&[&start[..], &more, &[vsock.to_str().unwrap()]].concat());
    assert!(suz(&["ls"]).contains("running"));
    let port = data.join("machines/a/p.port");
    for path in [&vsock, &port] {
        host::socket::connect(host::socket::stream(true).unwrap(), path).unwrap();
    }
    suz(&["stop", "--force", "a"]);
    assert!(!vsock.exists() && !port.exists());
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_machine_runs_on_by_itself_and_is_listed() {
    let machines = Machines::new("listed");
    machines.start("a", ECHO, &[]);
    let told = machines.first();
    assert_eq!(
        (&told["name"], &told["state"]),
        (&"a".into(), &"running".into())
    );
    assert_eq!(
        (&told["engine"], &told["spec"]["memory"]),
        (&"soft".into(), &"16M".into())
    );
    assert!(told["uptime"].as_f64().unwrap() >= 0.0);
    let table = machines.good(&["ls"]);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(&row[..6], ["a", "running", "kernel-a", "soft", "1", "16M"]);
    let pid = Pid::from_raw(told["pid"].as_i64().unwrap() as i32);
    assert_eq!(rustix::process::getsid(pid).unwrap(), pid.unwrap());
    let line = machines.refused(&["start", "a"]);
    assert!(line.contains("machine a runs already"), "{line}");
    machines.good(&["stop", "--force", "a"]);
    assert_eq!(machines.state(), "stopped");
    assert!(!machines.path("a").join("control.sock").exists());
    assert_eq!(
        machines.good(&["stop", "a"]),
        "suz: machine a does not run\n"
    );
    machines.good(&["start", "a"]);
    assert_eq!(machines.state(), "running");
}

#[test]
fn what_goes_wrong_early_is_said_and_leaves_nothing() {
    let machines = Machines::new("early");
    let line = machines.refused(&["run", "-d", "--name", "a", "--kernel", "/nonexistent"]);
    assert_eq!(
        line,
        "suz: /nonexistent: No such file or directory (os error 2)"
    );
    assert_eq!(machines.good(&["ls", "--json"]), "[]\n");
    let line = machines.refused(&["run", "-d"]);
    assert!(line.contains("needs a name"), "{line}");
    // What was kept is still there when it can't be started.
    machines.start("b", SPIN, &[]);
    machines.good(&["stop", "--force", "b"]);
    std::fs::remove_file(machines.folder.path().join("kernel-b")).unwrap();
    let line = machines.refused(&["start", "b"]);
    assert!(line.contains("kernel-b: No such file"), "{line}");
    assert_eq!(machines.state(), "stopped");
    for words in [&["console", "b"][..], &["shell", "b"]] {
        let line = machines.refused(words);
        assert!(line.contains("machine b does not run"), "{line}");
    }
}

#[test]
fn a_machine_that_is_killed_starts_again() {
    let machines = Machines::new("killed");
    machines.start("a", ECHO, &[]);
    let pid = machines.first()["pid"].as_i64().unwrap() as i32;
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    machines.wait_for("stopped");
    // Nobody was there to remove it.
    assert!(machines.path("a").join("control.sock").exists());
    machines.good(&["start", "a"]);
    assert_eq!(machines.state(), "running");
}

#[test]
fn a_guest_that_ignores_the_button_is_switched_off() {
    let machines = Machines::new("button");
    machines.start("a", SPIN, &[]);
    let said = machines.good(&["stop", "--timeout", "0", "a"]);
    assert_eq!(
        said,
        "suz: machine a did not power off in 0 s and is switched off\n"
    );
    assert_eq!(machines.state(), "stopped");
}

#[test]
fn a_process_that_hangs_is_ended_by_force() {
    let machines = Machines::new("hangs");
    machines.start("a", SPIN, &[]);
    let pid = machines.first()["pid"].as_i64().unwrap() as i32;
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    let row = machines.first();
    assert_eq!(row["state"], "broken");
    assert!(
        row["error"].as_str().unwrap().contains("does not answer"),
        "{row}"
    );
    machines.good(&["rm", "--force", "a"]);
    assert_eq!(machines.state(), "gone");
}

#[test]
fn clients_come_and_go_and_the_guest_runs_on() {
    let machines = Machines::new("clients");
    machines.start("a", ECHO, &[]);
    let mut one = machines.console("a");
    expect(one.stdout.as_mut().unwrap(), b"!");
    send(one.stdin.as_mut().unwrap(), b"hello");
    expect(one.stdout.as_mut().unwrap(), b"hello");
    let mut two = machines.console("a");
    expect(two.stdout.as_mut().unwrap(), b"!hello");
    send(two.stdin.as_mut().unwrap(), b" you");
    expect(one.stdout.as_mut().unwrap(), b" you");
    crate::support::signal(&one, Signal::TERM);
    assert_eq!(crate::support::wait(one).code(), Some(143));
    send(two.stdin.as_mut().unwrap(), b" two");
    expect(two.stdout.as_mut().unwrap(), b" two");
    machines.good(&["stop", "--force", "a"]);
    let end = crate::support::wait(two);
    assert_eq!(
        (end.code(), &*end.stderr),
        (Some(0), "suz: machine a has ended\n")
    );
    assert_eq!(
        read(&machines.path("a").join("console.log")),
        "!hello you two"
    );
}

#[test]
fn a_machine_with_rm_goes_when_it_ends() {
    let machines = Machines::new("goes");
    machines.start("a", SPIN, &["--rm"]);
    machines.good(&["stop", "--force", "a"]);
    assert_eq!(machines.state(), "gone");
    // One that ends by itself, perhaps before anybody has looked.
    machines.start("b", &debug_exit(0), &["--debug-exit", "--rm"]);
    machines.wait_for("gone");
}

#[test]
fn the_end_of_a_guest_in_the_background_is_in_its_log() {
    let machines = Machines::new("log");
    machines.start("a", crate::support::DIE, &[]);
    machines.wait_for("stopped");
    let log = read(&machines.path("a").join("log"));
    assert!(
        log.starts_with("suz: the guest died: triple fault"),
        "{log}"
    );
}

#[test]
fn a_machine_in_the_foreground_is_controlled_as_well() {
    let machines = Machines::new("foreground");
    let kernel = machines.folder.file("k", &kernel(ECHO));
    let words = [
        "run", "--engine", "soft", "--memory", "16M", "--name", "a", "--kernel",
    ];
    let mut command = machines.suz(&words);
    let mut child = command
        .arg(&kernel)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    expect(child.stdout.as_mut().unwrap(), b"!");
    let mut client = machines.console("a");
    expect(client.stdout.as_mut().unwrap(), b"!");
    send(child.stdin.as_mut().unwrap(), b"here");
    send(client.stdin.as_mut().unwrap(), b"there");
    expect(child.stdout.as_mut().unwrap(), b"there");
    machines.good(&["stop", "--force", "a"]);
    assert_eq!(crate::support::wait(child).code(), Some(0));
    crate::support::wait(client);
}
