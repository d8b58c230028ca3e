//! The ways in which a run ends, and their statuses.

use std::io::Read;
use std::process::Stdio;

use crate::support::{
    CHATTER, DIE, ECHO, Folder, debug_exit, expect, finish, kernel, run, send, wait,
};
use rustix::process::Signal;

#[test]
fn a_triple_fault_says_why_and_where() {
    let folder = Folder::new("die");
    let done = finish(&mut run(&folder.file("k", &kernel(DIE))));
    assert_eq!(done.code(), Some(70));
    let line = done.stderr.strip_suffix('\n').unwrap();
    assert!(
        line.starts_with("suz: the guest died: triple fault"),
        "{line}"
    );
    assert!(
        line.contains("vCPU 0") && line.contains("protected mode"),
        "{line}"
    );
    assert!(line.contains("0x100020") && !line.contains('\n'), "{line}");
}

#[test]
fn a_debug_exit_is_the_status_that_kernel_developers_know() {
    let folder = Folder::new("debug-exit");
    for (value, status) in [(0, 1), (0x10, 0x21), (0xff, 0xff)] {
        let kernel = folder.file("k", &kernel(&debug_exit(value)));
        let done = finish(run(&kernel).arg("--debug-exit"));
        assert_eq!((done.code(), &*done.stderr), (Some(status), ""));
    }
}

#[test]
fn signals_end_the_machine_with_one_line() {
    let folder = Folder::new("signals");
    let kernel = folder.file("k", &kernel(ECHO));
    for (number, sent, name) in [
        (15, Signal::TERM, "SIGTERM"),
        (2, Signal::INT, "SIGINT"),
        (1, Signal::HUP, "SIGHUP"),
        (3, Signal::QUIT, "SIGQUIT"),
    ] {
        let mut child = run(&kernel).spawn().unwrap();
        expect(child.stdout.as_mut().unwrap(), b"!");
        crate::support::signal(&child, sent);
        let done = wait(child);
        assert_eq!(done.code(), Some(128 + number));
        assert_eq!(done.stderr, format!("suz: ended by {name}\n"));
    }
}

#[test]
fn pipes_are_a_console() {
    let folder = Folder::new("pipes");
    let kernel = folder.file("k", &kernel(ECHO));
    let mut child = run(&kernel).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    send(&mut stdin, b"hello, \x1d guest");
    expect(child.stdout.as_mut().unwrap(), b"!hello, \x1d guest");
    // The end of input is not the guest's end.
    drop(stdin);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none());
    crate::support::signal(&child, Signal::TERM);
    assert_eq!(wait(child).code(), Some(143));
}

#[test]
fn a_file_is_input_as_well() {
    let folder = Folder::new("file");
    let kernel = folder.file("k", &kernel(ECHO));
    let text = vec![b'a'; 10_000];
    let input = std::fs::File::open(folder.file("input", &text)).unwrap();
    let mut child = run(&kernel).stdin(input).spawn().unwrap();
    let stdout = child.stdout.as_mut().unwrap();
    expect(stdout, b"!");
    let mut echoed = vec![0; text.len()];
    stdout.read_exact(&mut echoed).unwrap();
    assert!(echoed == text);
    crate::support::signal(&child, Signal::TERM);
    wait(child);
}

#[test]
fn output_that_nobody_takes_ends_the_run() {
    let folder = Folder::new("closed");
    let kernel = folder.file("k", &kernel(CHATTER));
    let mut child = run(&kernel).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    expect(&mut stdout, b"xx");
    drop(stdout);
    let done = wait(child);
    assert_eq!(done.code(), Some(141));
    assert_eq!(
        done.stderr,
        "suz: nobody takes the guest's output any more\n"
    );
}

#[test]
fn a_slow_reader_does_not_keep_a_signal_from_ending_it() {
    let folder = Folder::new("slow");
    let kernel = folder.file("k", &kernel(CHATTER));
    let mut child = run(&kernel).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    expect(&mut stdout, b"xx");
    // Nobody reads: the guest's output backs up through every buffer.
    std::thread::sleep(std::time::Duration::from_millis(300));
    crate::support::signal(&child, Signal::TERM);
    let status = crate::support::wait_status(&mut child);
    assert_eq!(status.code(), Some(143));
}

#[test]
fn statistics_are_printed_on_request() {
    let folder = Folder::new("stats");
    let kernel = folder.file("k", &kernel(&debug_exit(0)));
    let done = finish(run(&kernel).args(["--debug-exit", "--stats"]));
    assert!(
        done.stderr.contains("KiB of guest memory touched"),
        "{}",
        done.stderr
    );
}
