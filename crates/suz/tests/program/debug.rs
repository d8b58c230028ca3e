//! Debuggers: gdb itself, where the host has it, on tiny kernels and either engine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::engine::engines;
use crate::support::{Folder, debug_exit, finish, kernel, suz, wait};

/// Where the code of a kernel is.
const CODE: u64 = 0x10_0020;
/// The store of [`looping`], and what is behind it.
const STORE: u64 = CODE + 8;
const BEHIND: u64 = CODE + 13;

/// XOR EAX, EAX; MOV ESI, 3; here: INC EAX; MOV [0x200000], EAX; six NOPs; DEC ESI; JNZ here; then the debug exit.
fn looping() -> Vec<u8> {
    let mut code = vec![0x31, 0xc0, 0xbe, 3, 0, 0, 0, 0x40];
    code.extend([0xa3, 0, 0, 0x20, 0]);
    code.extend([0x90; 6]);
    code.extend([0x4e, 0x75, 0xf1]);
    code.extend(debug_exit(0x10));
    code
}

/// A run with a debugger's address, and where it says that it listens.
fn start(folder: &Folder, engine: &str, place: &str, more: &[&str]) -> (Child, String) {
    let kernel = folder.file("k", &kernel(&looping()));
    let mut command = suz();
    command.args(["run", "--memory", "16M", "--debug-exit", "--engine", engine]);
    command.args(more).args(["--gdb", place, "--kernel"]);
    let mut child = command.arg(kernel).spawn().unwrap();
    let mut said = Vec::new();
    let stderr = child.stderr.as_mut().expect("it is piped");
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        stderr
            .read_exact(&mut byte)
            .expect("it says that it listens");
        said.push(byte[0]);
    }
    let said = String::from_utf8(said).unwrap();
    let (_, place) = said.rsplit_once("target remote ").expect("it says where");
    let place = place.trim_end().trim_end_matches('\'').to_owned();
    (child, place)
}

/// Whether the host has gdb; says so if not.
fn has_gdb() -> bool {
    let mut version = Command::new("gdb");
    version.arg("--version").stdout(Stdio::null());
    let found = version.status().is_ok_and(|status| status.success());
    if !found {
        println!("SKIPPED: this host has no gdb");
    }
    found
}

/// What gdb says to these commands.
fn gdb(place: &str, commands: &[&str]) -> String {
    let target = format!("target remote {place}");
    let first = [
        "set pagination off",
        "set confirm off",
        "set architecture i386:x86-64",
        target.as_str(),
    ];
    let mut command = Command::new("gdb");
    command.args(["-nx", "-batch"]).stdin(Stdio::null());
    for text in first.iter().chain(commands) {
        command.args(["-ex", text]);
    }
    let done = command.output().unwrap();
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    text
}

/// Asserts that a text holds others, one behind the other.
fn assert_in_order(text: &str, wanted: &[&str]) {
    let mut rest = text;
    for piece in wanted {
        match rest.split_once(piece) {
            Some((_, later)) => rest = later,
            None => panic!("{piece:?} is missing in {text}"),
        }
    }
}

#[test]
fn gdb_breaks_steps_and_changes_things() {
    if !has_gdb() {
        return;
    }
    for engine in engines() {
        let folder = Folder::new(&format!("gdb-{engine}"));
        let socket = folder.path().join("socket");
        let (child, place) = start(&folder, engine, socket.to_str().unwrap(), &[]);
        let break_here = format!("break *{STORE}");
        let script = [
            "output/x $pc",
            &break_here,
            "continue",
            "print $rax",
            "stepi",
            "output/x $pc",
            "x/1wx 0x200000",
            "continue",
            "print $rax",
            "set var *(int*)0x200000 = 0x1234",
            "x/1wx 0x200000",
            "set $rsi = 1",
            "print $cr0 & 1",
            "delete",
            "continue",
        ];
        let text = gdb(&place, &script);
        let (first, behind) = (format!("{CODE:#x}"), format!("{BEHIND:#x}"));
        let wanted = [
            first.as_str(),
            "Breakpoint 1, ",
            "$1 = 1\n",
            &behind,
            "0x200000:\t0x00000001",
            "Breakpoint 1, ",
            "$2 = 2\n",
            "0x200000:\t0x00001234",
            "$3 = 1\n",
            "exited with code 020",
        ];
        assert_in_order(&text, &wanted);
        let done = wait(child);
        assert_eq!(done.code(), Some(0x21), "{engine}: {done:?}");
        assert!(!socket.exists(), "the socket is gone with the run");
    }
}

/// More breakpoints than a processor has, on each instruction that they can be on.
#[test]
fn breakpoints_are_many() {
    if !has_gdb() {
        return;
    }
    for engine in engines() {
        let folder = Folder::new(&format!("gdb-many-{engine}"));
        let (child, place) = start(&folder, engine, "0", &[]);
        let breaks: Vec<_> = (0..7)
            .map(|nop| format!("break *{}", BEHIND + nop))
            .collect();
        let mut script: Vec<&str> = breaks.iter().map(String::as_str).collect();
        script.extend(["continue"; 8]);
        let code = format!("x/3xb {BEHIND}");
        script.extend([code.as_str(), "delete", "continue"]);
        let text = gdb(&place, &script);
        let stops: Vec<_> = (1..=7)
            .chain([1])
            .map(|number| format!("Breakpoint {number}, "))
            .collect();
        let mut wanted: Vec<&str> = stops.iter().map(String::as_str).collect();
        wanted.extend(["0x90\t0x90\t0x90", "exited with code 020"]);
        assert_in_order(&text, &wanted);
        assert_eq!(wait(child).code(), Some(0x21), "{engine}");
    }
}

#[test]
fn gdb_watches_memory_and_sees_each_processor() {
    if !has_gdb() {
        return;
    }
    // Accesses of kernels are not looked at where they are emulated, so the software CPU is enough.
    let folder = Folder::new("gdb-watch");
    let (child, place) = start(&folder, "soft", "127.0.0.1:0", &["--cpus", "2"]);
    let script = [
        "info threads",
        "watch *(int*)0x200000",
        "continue",
        "output/x $pc",
        "continue",
        "kill",
    ];
    let text = gdb(&place, &script);
    let behind = format!("{BEHIND:#x}");
    let wanted = [
        "(CPU 0, protected mode",
        "(CPU 1, not started",
        "Old value = 0\nNew value = 1\n",
        &behind,
        "Old value = 1\nNew value = 2\n",
    ];
    assert_in_order(&text, &wanted);
    assert_eq!(wait(child).code(), Some(0), "killed by its debugger");
}

/// A guest waits for its debugger, and goes on when that just leaves.
#[test]
fn who_hangs_up_lets_the_guest_go_on() {
    for engine in engines() {
        let folder = Folder::new(&format!("gdb-gone-{engine}"));
        let (mut child, place) = start(&folder, engine, "0", &[]);
        std::thread::sleep(Duration::from_millis(200));
        assert!(child.try_wait().unwrap().is_none(), "it waits");
        let mut stream = TcpStream::connect(&place).unwrap();
        // Why did it stop?
        stream.write_all(b"$?#3f").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+$T05");
        assert!(child.try_wait().unwrap().is_none(), "it stands");
        drop(stream);
        assert_eq!(wait(child).code(), Some(0x21), "{engine}");
    }
}

#[test]
fn a_guest_does_not_wait_where_told_so() {
    let folder = Folder::new("gdb-nowait");
    let (child, _) = start(&folder, "soft", "0,nowait", &[]);
    assert_eq!(wait(child).code(), Some(0x21));
}

#[test]
fn an_address_that_can_not_be_had_is_one_line() {
    let folder = Folder::new("gdb-taken");
    let kernel = folder.file("k", &kernel(&looping()));
    let taken = folder.file("taken", b"");
    for (place, problem) in [
        (taken.to_str().unwrap(), "Address already in use"),
        ("x", "PORT"),
    ] {
        let mut command = suz();
        command.args(["run", "--memory", "16M", "--engine", "soft", "--gdb", place]);
        let done = finish(command.arg("--kernel").arg(&kernel));
        assert_eq!(done.code(), Some(2), "{done:?}");
        assert!(done.stderr.contains(problem), "{done:?}");
    }
    assert!(taken.exists(), "it is somebody else's");
}
