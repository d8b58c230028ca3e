//! The next release of Debian, and a port between a program in it and one here.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::image::{has, suz};
use crate::running::PATIENCE;

/// What the guest does.
const SCRIPT: &str = "\
    systemctl is-system-running --wait; read -r word < /dev/virtio-ports/agent; \
    echo \"$(. /etc/os-release; echo \"$VERSION_CODENAME\"): $word\"; echo thanks > /dev/virtio-ports/agent";

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
    let child = run.spawn().expect("suz starts");
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
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        (output.status.code(), &*said),
        (Some(0), "running\ntrixie: hello\n")
    );
    assert!(!socket.exists());
}
