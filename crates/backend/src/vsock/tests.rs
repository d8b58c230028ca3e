use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use iface::Vsock as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{CLIENTS_MAX, Vsock};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("suz-vsock-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("v")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn accept(vsock: &Vsock) -> (UnixStream, u32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut list = [PollFd::from_borrowed_fd(vsock.ready(), PollFlags::IN)];
        let limit = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut list, Some(&limit)), Ok(1), "nobody came");
        if let Some((stream, port)) = vsock.accept() {
            return (stream.into(), port);
        }
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn a_client_says_the_port_and_what_follows_is_the_guests() {
    let folder = Folder::new("client");
    let vsock = Vsock::listen(&folder.socket()).unwrap();
    assert!(vsock.accept().is_none());
    let mut slow = UnixStream::connect(folder.socket()).unwrap();
    slow.write_all(b"CONN").unwrap();
    assert!(vsock.accept().is_none());
    let mut client = UnixStream::connect(folder.socket()).unwrap();
    client.write_all(b"CONNECT 22\nhello").unwrap();
    let (mut stream, port) = accept(&vsock);
    assert_eq!(port, 22);
    vsock.connected(stream.as_fd(), 1 << 30).unwrap();
    let mut bytes = [0; 14];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"OK 1073741824\n");
    stream.read_exact(&mut bytes[..5]).unwrap();
    assert_eq!(&bytes[..5], b"hello");
    slow.write_all(b"ECT 4294967295\n").unwrap();
    assert_eq!(accept(&vsock).1, u32::MAX);
    assert!(vsock.accept().is_none());
}

#[test]
fn nonsense_and_half_words_are_hung_up_on() {
    let folder = Folder::new("nonsense");
    let vsock = Vsock::listen(&folder.socket()).unwrap();
    for said in [
        "GET / HTTP/1.1\r\n\r\n",
        "CONNECT x\n",
        "CONNECT 4294967296\n",
        "CONNECT -1\n",
        "0123456789012345678901234567890123456789",
        "\n",
    ] {
        let mut client = UnixStream::connect(folder.socket()).unwrap();
        client.write_all(said.as_bytes()).unwrap();
        assert!(vsock.accept().is_none());
        let mut rest = Vec::new();
        // What was not read is reset.
        let _ = client.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{said}");
    }
    let mut client = UnixStream::connect(folder.socket()).unwrap();
    client.write_all(b"CONNECT").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(vsock.accept().is_none());
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn silent_clients_keep_nobody_out() {
    let folder = Folder::new("silent");
    let vsock = Vsock::listen(&folder.socket()).unwrap();
    let connect = |_| {
        let client = UnixStream::connect(folder.socket()).unwrap();
        assert!(vsock.accept().is_none());
        client
    };
    let mut silent: Vec<_> = (0..CLIENTS_MAX + 5).map(connect).collect();
    let mut client = UnixStream::connect(folder.socket()).unwrap();
    client.write_all(b"CONNECT 7\n").unwrap();
    assert_eq!(accept(&vsock).1, 7);
    // The oldest had to go, the others wait.
    assert_eq!(silent[0].read(&mut [0]).unwrap(), 0);
    let last = silent.last_mut().unwrap();
    last.write_all(b"CONNECT 8\n").unwrap();
    assert_eq!(accept(&vsock).1, 8);
}

#[test]
fn the_guest_reaches_who_listens_for_the_port() {
    let folder = Folder::new("guest");
    let vsock = Vsock::listen(&folder.socket()).unwrap();
    assert!(vsock.connect(5).is_err());
    let listener = UnixListener::bind(folder.0.join("v_5")).unwrap();
    let mut stream = UnixStream::from(vsock.connect(5).unwrap());
    let (mut other, _) = listener.accept().unwrap();
    other.write_all(b"x").unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
    let folder = Folder::new("dead");
    let path = folder.socket();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a socket outlives its process");
    let vsock = Vsock::listen(&path).unwrap();
    let error = Vsock::listen(&path).unwrap_err();
    assert!(error.to_string().starts_with("is in use"), "{error}");
    drop(vsock);
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    let error = Vsock::listen(&path).unwrap_err();
    assert!(error.to_string().contains("is no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    assert!(Vsock::listen(&folder.0.join("none/v")).is_err());
}

#[test]
fn paths_are_as_long_as_the_file_system_has_them() {
    let folder = Folder::new("long");
    let path = folder.0.join("x".repeat(100)).join("y".repeat(100));
    std::fs::create_dir_all(&path).unwrap();
    let path = path.join("vsock.sock");
    for _ in 0..2 {
        let vsock = Vsock::listen(&path).unwrap();
        let error = Vsock::listen(&path).unwrap_err();
        assert!(error.to_string().starts_with("is in use"), "{error}");
        let listener = host::socket::stream(true).unwrap();
        host::socket::bind(&listener, &path.with_file_name("vsock.sock_5")).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        vsock.connect(5).unwrap();
        std::fs::remove_file(path.with_file_name("vsock.sock_5")).unwrap();
        drop(vsock);
        // What a killed process left is replaced.
        host::socket::bind(host::socket::stream(true).unwrap(), &path).unwrap();
    }
}
