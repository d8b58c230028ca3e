//! The next release of Debian, and a port between a program in it and one here.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::image::{has, suz};
use crate::running::PATIENCE;

/// What the guest does.
const SCRIPT: &str = "\
    systemctl is-system-running --wait; exec 3<>/dev/virtio-ports/agent; read -r word <&3; \
    echo \"$(. /etc/os-release; echo \"$VERSION_CODENAME\"): $word\"; echo thanks >&3";

/// Killed when dropped.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn debian_13_runs_a_command_that_talks_by_a_port() {
    if !has("debian:13") {
        return;
    }
    let socket = std::env::temp_dir().join(format!("suz-agent-{}.sock", std::process::id()));
    let mut run = suz().unwrap();
    run.args(["run", "debian:13", "--engine", "soft", "--port"]);
    run.arg(format!("agent={}", socket.display()));
    run.args(["--", SCRIPT]).stdout(Stdio::piped());
    let mut run = Run(run.spawn().expect("suz starts"));
    let end = Instant::now() + PATIENCE;
    let mut stream = loop {
        if let Ok(stream) = UnixStream::connect(&socket) {
            break stream;
        }
        assert!(Instant::now() < end, "nobody listens");
        std::thread::sleep(Duration::from_millis(50));
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hello\n").unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"thanks\n");
    let mut said = String::new();
    let mut stdout = run.0.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    let status = run.0.wait().unwrap().code();
    assert_eq!((status, &*said), (Some(0), "running\ntrixie: hello\n"));
    assert!(!socket.exists());
}
