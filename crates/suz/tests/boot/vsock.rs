//! Sockets between a real guest's programs and the host's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::python;

/// Bytes that go there and back.
const SIZE: usize = 50 << 20;
/// Connections at once, and bytes of each.
const MANY: usize = 200;
const EACH: usize = 100_000;

/// Echoes at port 5000; counts until the end at 5001, then tells; connects to the host's ports 6000 and 6001.
const PROGRAM: &str = r"
import socket, threading
def listen(port, serve):
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    s.bind((socket.VMADDR_CID_ANY, port))
    s.listen(500)
    def loop():
        while True:
            c, _ = s.accept()
            threading.Thread(target=serve, args=(c,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
def echo(c):
    while data := c.recv(1 << 18):
        c.sendall(data)
    c.close()
def count(c):
    total = 0
    while data := c.recv(1 << 18):
        total += len(data)
    c.sendall(b'%d bytes' % total)
    c.close()
listen(5000, echo)
listen(5001, count)
s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
try:
    s.connect((2, 6001))
except ConnectionResetError:
    print('refused')
s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
s.connect((2, 6000))
print('address', s.getsockname()[0])
s.sendall(b'hello from the guest')
s.shutdown(socket.SHUT_WR)
print('heard', s.recv(100))
print('serving')
input()
";

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Connects to a port of the guest's.
fn connect(socket: &Path, port: u32) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(socket).expect("the monitor listens");
    writeln!(stream, "CONNECT {port}").expect("it takes a line");
    let mut answer = String::new();
    // A reader that takes no byte behind the line.
    let mut reader = BufReader::with_capacity(1, &stream);
    reader.read_line(&mut answer).expect("it answers");
    let number = answer.strip_prefix("OK ")?.trim_end();
    assert!(number.parse::<u32>().is_ok(), "{answer}");
    Some(stream)
}

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(step).collect();
    bytes.truncate(count);
    bytes
}

/// Sends bytes to the guest's echo, and gets the same back.
fn echo(socket: &Path, count: usize, seed: u64) {
    let sent = bytes(count, seed);
    let mut stream = connect(socket, 5000).expect("the guest listens");
    let mut writer = stream.try_clone().expect("a descriptor");
    let mut got = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&sent).expect("the guest takes it");
            writer.shutdown(Shutdown::Write).expect("it is connected");
        });
        stream.read_to_end(&mut got).expect("the guest answers");
    });
    assert!(sent == got, "{} of {count} bytes came back", got.len());
}

#[test]
fn bytes_go_both_ways_through_many_connections() {
    let folder = std::env::temp_dir().join(format!("suz-boot-vsock-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let folder = Folder(folder);
    let socket = folder.0.join("v");
    let listener = UnixListener::bind(folder.0.join("v_6000")).expect("a free name");
    let value = format!("{},cid=42", socket.display());
    let options = [("--vsock", value.as_str()), ("--cpus", "2")];
    let mut guest = python::start("vsock", "python3.11 /program.py", PROGRAM, &options);
    let (mut stream, _) = listener.accept().expect("the guest connects");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("text");
    assert_eq!(said, "hello from the guest");
    stream
        .write_all(b"hello from the host")
        .expect("it listens");
    guest.expect("refused");
    guest.expect("address 42");
    guest.expect("heard b'hello from the host'");
    guest.expect("serving");

    assert!(connect(&socket, 4999).is_none(), "nobody listens there");
    let mut stream = connect(&socket, 5001).expect("the guest listens");
    stream.write_all(&[1; 12_345]).expect("the guest takes it");
    stream.shutdown(Shutdown::Write).expect("it is connected");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the guest answers");
    assert_eq!(answer, "12345 bytes");

    let start = Instant::now();
    echo(&socket, SIZE, 7);
    let seconds = start.elapsed().as_secs_f64();
    println!("{:.0} MB/s there and back", SIZE as f64 / 1e6 / seconds);
    thread::scope(|scope| {
        for seed in 0..MANY {
            let socket = &socket;
            scope.spawn(move || echo(socket, EACH, seed as u64));
        }
    });
    // A connection that stands still takes no time.
    let idle = connect(&socket, 5000).expect("the guest listens");
    thread::sleep(Duration::from_secs(1));
    guest.must_be_idle();
    drop(idle);
    // Those who give up halfway harm nobody.
    for _ in 0..20 {
        let mut stream = connect(&socket, 5000).expect("the guest listens");
        stream.write_all(&[1; 100_000]).expect("the guest takes it");
    }
    echo(&socket, EACH, 99);
    guest.send("\n");
    assert_eq!(guest.finish(), 0);
    assert!(!socket.exists(), "the socket goes with the machine");
}
