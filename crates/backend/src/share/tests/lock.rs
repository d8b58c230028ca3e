//! Locks of the guest's and of the host's.

use std::process::{Command, Stdio};

use iface::Served;
use mem::Gpa;

use super::client::{ANSWER, Client, libc_flags, long_at, longs};
use crate::share::message::opcode;
use crate::share::node::ROOT;

/// Holds a lock on a file in another process until it is killed.
fn hold(path: &std::path::Path, how: &str) -> std::process::Child {
    let program = format!(
        "import fcntl, sys\nf = open(sys.argv[1], 'r+')\nfcntl.{how}\nprint('held', flush=True)\nsys.stdin.read()"
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

#[test]
fn locks_meet_those_of_the_hosts_processes() {
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("SKIPPED: no python3 here");
    }
    const AGAIN: i32 = 11;
    const INTR: i32 = 4;
    let mut client = Client::new(false);
    let path = client.shared("file");
    let file = client.lookup(ROOT, "file").unwrap();
    let handle = client.open(file, libc_flags::RDWR).unwrap();
    for (how, flags) in [
        ("lockf(f, fcntl.LOCK_EX, 10, 5)", 0),
        ("flock(f, fcntl.LOCK_EX)", 1),
    ] {
        let of = [handle, 77, 0, u64::from(u32::MAX)];
        let mut child = hold(&path, how);
        let set = client.lock(opcode::SETLK, file, of, 1, flags);
        assert!(matches!(client.raw(&set, 4096), Served::Done(16)));
        assert_eq!(client.error(), AGAIN, "{how}");
        let wait = client.lock(opcode::SETLKW, file, of, 1, flags);
        assert_eq!(client.raw(&wait, 4096), Served::Waits);
        if flags == 0 {
            let get = client.lock(opcode::GETLK, file, of, 1, 0);
            client.raw(&get, 4096);
            let mut found = [0; 24];
            client.ram.read(Gpa(ANSWER + 16), &mut found).unwrap();
            assert_eq!((long_at(&found, 0), long_at(&found, 8)), (5, 14));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(client.raw(&wait, 4096), Served::Done(16));
        assert_eq!(client.error(), 0, "{how}");
        // Now the host's processes meet the guest's.
        let program = "import fcntl, sys\nf = open(sys.argv[1], 'r+')\ntry:\n fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB) if sys.argv[2] == '0' else fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept BlockingIOError:\n sys.exit(7)";
        let tries = |code: i32| {
            let mut command = Command::new("python3");
            command
                .args(["-c", program])
                .arg(&path)
                .arg(flags.to_string());
            assert_eq!(command.status().unwrap().code(), Some(code), "{how}");
        };
        tries(7);
        if flags == 0 {
            client
                .ask(opcode::FLUSH, file, &longs(&[handle, 0, 77]))
                .unwrap();
        } else {
            let unlock = client.lock(opcode::SETLK, file, of, 2, flags);
            client.raw(&unlock, 4096);
        }
        tries(0);
    }
    // Two owners in the guest meet as well, and who waits can be told not to.
    let one = client.lock(opcode::SETLK, file, [handle, 1, 0, 9], 1, 0);
    client.raw(&one, 4096);
    assert_eq!(client.error(), 0);
    let two = client.lock(opcode::SETLKW, file, [handle, 2, 9, 9], 0, 0);
    assert_eq!(client.raw(&two, 4096), Served::Waits);
    let unique = client.unique;
    client.ask(opcode::INTERRUPT, 0, &longs(&[unique])).unwrap();
    assert_eq!(client.raw(&two, 4096), Served::Done(16));
    assert_eq!(client.error(), INTR);
}
