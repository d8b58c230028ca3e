//! A machine that runs in the background of a test, and its owner's ssh.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::image::{data, suz};

/// No step takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(400);

/// A machine that runs; killed and removed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    name: String,
    pub(crate) port: u16,
}

impl Running {
    /// Starts the machine, made of the image if it is not there.
    pub(crate) fn start_of(image: &str, name: &str) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self::start_at(image, name, port)
    }

    pub(crate) fn start_at(image: &str, name: &str, port: u16) -> Option<Self> {
        let child = suz()?
            .args(["run", image, "--engine", "soft", "--name", name])
            .args(["--publish", &format!("{port}:22")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("suz starts");
        let name = name.to_owned();
        let mut running = Self { child, name, port };
        let mut out = running.child.stdout.take().unwrap();
        // Read, so that the machine never waits for the console.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        running.wait();
        Some(running)
    }

    /// Waits until somebody can log in.
    pub(crate) fn wait(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.ssh("true").status.success() {
            assert!(Instant::now() < end, "nobody can log in");
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the machine ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Has the machine reboot, and waits until somebody can log in again.
    pub(crate) fn reboot(&mut self) {
        const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";
        let before = self.says(BOOT);
        self.ssh("sudo reboot");
        let end = Instant::now() + PATIENCE;
        loop {
            let now = self.ssh(BOOT);
            let now = String::from_utf8_lossy(&now.stdout).trim().to_owned();
            if !now.is_empty() && now != before {
                return;
            }
            assert!(Instant::now() < end, "the machine did not come back");
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the machine ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn command(&self, program: &str, port: &str) -> Command {
        let key = data().unwrap().join("ssh/id_ed25519");
        let mut command = Command::new(program);
        command.args(["-F", "none", "-i"]).arg(key);
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=10",
            "ServerAliveInterval=10",
        ] {
            command.args(["-o", option]);
        }
        command
            .arg(port)
            .arg(self.port.to_string())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn ssh(&self, line: &str) -> Output {
        let mut ssh = self.command("ssh", "-p");
        ssh.arg(format!("{}@127.0.0.1", user()))
            .arg(line)
            .output()
            .expect("ssh starts")
    }

    /// What a command prints, which must succeed.
    pub(crate) fn says(&self, line: &str) -> String {
        let output = self.ssh(line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        let mut scp = self.command("scp", "-P");
        let copied = scp.arg(from).arg(to).status().expect("scp starts");
        assert!(copied.success(), "{from} to {to}");
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn folder(&self) -> PathBuf {
        data().unwrap().join("machines").join(&self.name)
    }
}

/// Removed when dropped.
pub(crate) struct Machine(pub(crate) &'static str);

impl Machine {
    pub(crate) fn new(name: &'static str) -> Self {
        let machine = Self(name);
        machine.remove();
        machine
    }

    pub(crate) fn remove(&self) {
        if let Some(mut suz) = suz() {
            let _ = suz.args(["rm", self.0]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn user() -> String {
    let output = Command::new("id")
        .arg("-un")
        .output()
        .expect("id is everywhere");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
