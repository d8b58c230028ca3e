//! Named ports between programs of a real guest's and of the host's.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that go there and back.
const SIZE: usize = 20 << 20;

/// Takes bytes and gives them back, then hears another program of the host's until that goes. A line for the host
/// waits until somebody comes for it.
const SCRIPT: &str = "
ports
echo names $(ls /dev/virtio-ports)
exec 3<>/dev/virtio-ports/echo
head -c 20971520 <&3 > /tmp/bytes
cat /tmp/bytes >&3
exec 3>&-
exec 3<>/dev/virtio-ports/echo
read word <&3
echo heard $word
cat <&3 && echo end
exec 3>&-
echo first > /dev/virtio-ports/log
echo second > /dev/virtio-ports/log
echo told
";

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn connect(socket: &Path) -> UnixStream {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{}: {error}", socket.display()),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn bytes_and_ends_go_both_ways() {
    let data = std::env::temp_dir().join(format!("suz-boot-port-{}", std::process::id()));
    std::fs::create_dir_all(&data).expect("the temporary folder is writable");
    let data = Folder(data);
    let log = data.0.join("log");
    let mut guest = crate::disk::start_in(
        &["env", &format!("SUZ_DATA={}", data.0.display())],
        "port",
        SCRIPT,
        &[
            ("--port", "echo"),
            ("--port", &format!("log={}", log.display())),
            ("--name", "a"),
        ],
    );
    let echo = data.0.join("machines/a/echo.port");
    let sent: Vec<u8> = (0..SIZE as u32).map(|at| (at ^ at >> 9) as u8).collect();
    // It is there before the guest listens, and so is who comes next.
    let mut first = connect(&echo);
    let mut second = connect(&echo);
    second.write_all(b"hello\n").expect("the socket takes it");
    guest.expect("names echo log");
    let start = Instant::now();
    let mut got = Vec::new();
    let mut writer = first.try_clone().expect("a descriptor");
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&sent).expect("the guest takes it"));
        // The guest's close is the end.
        first.read_to_end(&mut got).expect("the guest answers");
    });
    assert!(sent == got, "{} of {SIZE} bytes came back", got.len());
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} MB/s there and back", SIZE as f64 / 1e6 / seconds);
    drop((first, writer));

    guest.expect("heard hello");
    // One that sends no more, and is there, takes no time.
    second.shutdown(Shutdown::Write).expect("it is connected");
    thread::sleep(Duration::from_millis(500));
    guest.must_be_idle();
    drop(second);
    guest.expect("end");
    // The guest's writers wait for somebody to read, one after the other.
    for line in ["first\n", "second\n"] {
        let mut told = String::new();
        connect(&log).read_to_string(&mut told).expect("text");
        assert_eq!(told, line);
    }
    guest.expect("told");
    assert_eq!(guest.finish(), 0);
    assert!(!echo.exists() && !log.exists(), "names go with the machine");
}
