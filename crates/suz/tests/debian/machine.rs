//! A machine that stays: what its owner does with it on the first day.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::image::{data, suz};

/// No step takes longer.
const PATIENCE: Duration = Duration::from_secs(400);

/// A machine that runs; killed and removed when dropped.
struct Running {
    child: Child,
    name: String,
    port: u16,
}

impl Running {
    /// Starts the machine, made if it is not there.
    fn start(name: &str) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self::start_at(name, port)
    }

    fn start_at(name: &str, port: u16) -> Option<Self> {
        let child = suz()?
            .args([
                "run",
                "debian",
                "--engine",
                "soft",
                "--name",
                name,
                "--publish",
            ])
            .arg(format!("{port}:22"))
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
    fn wait(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.ssh("true").status.success() {
            assert!(Instant::now() < end, "nobody can log in");
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
        ] {
            command.args(["-o", option]);
        }
        command
            .arg(port)
            .arg(self.port.to_string())
            .stdin(Stdio::null());
        command
    }

    fn ssh(&self, line: &str) -> Output {
        let mut ssh = self.command("ssh", "-p");
        ssh.arg(format!("{}@127.0.0.1", user()))
            .arg(line)
            .output()
            .expect("ssh starts")
    }

    /// What a command prints, which must succeed.
    fn says(&self, line: &str) -> String {
        let output = self.ssh(line);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn copy(&self, from: &str, to: &str) {
        let mut scp = self.command("scp", "-P");
        let copied = scp.arg(from).arg(to).status().expect("scp starts");
        assert!(copied.success(), "{from} to {to}");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn folder(&self) -> PathBuf {
        data().unwrap().join("machines").join(&self.name)
    }
}

/// Removed when dropped.
struct Machine(&'static str);

impl Machine {
    fn new(name: &'static str) -> Self {
        let machine = Self(name);
        machine.remove();
        machine
    }

    fn remove(&self) {
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

fn user() -> String {
    let output = Command::new("id")
        .arg("-un")
        .output()
        .expect("id is everywhere");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A file of noise, which no layer can make smaller.
fn noise(path: &Path, len: u64) {
    let mut noise = vec![0; 1 << 20];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut noise)
        .unwrap();
    let file = File::create(path).unwrap();
    for at in (0..len).step_by(noise.len()) {
        noise[..8].copy_from_slice(&at.to_le_bytes());
        file.write_all_at(&noise, at).unwrap();
    }
}

fn sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

#[test]
fn a_machine_serves_its_owner() {
    let machine = Machine::new("served");
    let Some(mut running) = Running::start(machine.0) else {
        return;
    };
    assert_eq!(running.says("hostname"), "served");
    assert_eq!(running.says("sudo id -u"), "0");
    assert_eq!(running.says("nproc"), "2");
    assert_eq!(running.says("cat /etc/os-release | grep -c bookworm"), "3");
    let id = running.says("cat /etc/machine-id");
    assert_eq!(id.len(), 32, "{id}");
    assert_eq!(
        running.says("systemctl is-system-running --wait; systemctl --failed --plain --no-legend"),
        "running"
    );

    let folder = std::env::temp_dir().join(format!("suz-debian-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (there, back) = (folder.join("there"), folder.join("back"));
    noise(&there, 100 << 20);
    let remote = format!("{}@127.0.0.1:noise", user());
    running.copy(there.to_str().unwrap(), &remote);
    assert_eq!(running.says("sha256sum noise")[..64], sum(&there));
    running.copy(&remote, back.to_str().unwrap());
    assert_eq!(sum(&back), sum(&there));
    std::fs::remove_dir_all(&folder).unwrap();

    running.says("sudo apt-get -q update && sudo apt-get -q -y install hello");
    assert_eq!(running.says("hello"), "Hello, world!");

    // A reboot comes back as the same machine, without anybody outside.
    let boot = running.says("cat /proc/sys/kernel/random/boot_id");
    running.ssh("sudo reboot");
    let end = Instant::now() + PATIENCE;
    loop {
        let now = running.ssh("cat /proc/sys/kernel/random/boot_id");
        let now = String::from_utf8_lossy(&now.stdout).trim().to_owned();
        if !now.is_empty() && now != boot {
            break;
        }
        assert!(Instant::now() < end, "the machine did not come back");
        std::thread::sleep(Duration::from_millis(500));
    }
    running.wait();
    assert_eq!(running.says("cat /etc/machine-id"), id);

    // What was synced is there when the monitor was killed.
    running.says("echo kept > kept && sync");
    let (folder, port) = (running.folder(), running.port);
    running.kill();
    let running = Running::start_at(machine.0, port).expect("the image is there");
    assert_eq!(running.says("cat kept"), "kept");
    assert_eq!(running.says("cat /etc/machine-id"), id);
    running.ssh("sudo poweroff");
    let mut running = running;
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "the machine did not power off");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(0));
    is_clean(&folder.join("disk.qcow2"));
}

/// Checks an image and the file system in it, where the tools are here.
fn is_clean(disk: &Path) {
    let Ok(check) = Command::new("qemu-img").arg("check").arg(disk).output() else {
        println!("SKIPPED: no qemu-img to check with");
        return;
    };
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(said.contains("No errors were found"), "{said}");
    let raw = disk.with_extension("raw");
    let convert = Command::new("qemu-img")
        .args(["convert", "-O", "raw"])
        .args([disk, &raw])
        .status();
    assert!(convert.unwrap().success());
    let mut check = Command::new("e2fsck");
    check.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let check = check
        .args(["-f", "-n"])
        .arg(&raw)
        .output()
        .expect("e2fsck is beside mke2fs");
    std::fs::remove_file(&raw).unwrap();
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(check.status.success(), "{said}");
}
