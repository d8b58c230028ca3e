//! Machines with names: folders that stay, and what may be done with them.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{
    Done, ECHO, Folder, debug_exit, expect, finish, kernel, run, signal, suz, wait,
};

/// The program with its machines in this folder.
fn at<'a>(command: &'a mut Command, data: &Path) -> &'a mut Command {
    command.env("SUZ_DATA", data)
}

/// Does it, and checks that it is refused by one line.
fn refused(command: &mut Command) -> String {
    let done = finish(command);
    assert_eq!(done.code(), Some(2), "{done:?}");
    let line = done.stderr.strip_suffix('\n').unwrap();
    assert!(line.starts_with("suz: ") && !line.contains('\n'), "{line}");
    line.to_owned()
}

/// A data folder, and a kernel in it that ends with status 0x21.
fn rig(name: &str) -> (Folder, std::path::PathBuf) {
    let folder = Folder::new(name);
    let kernel = folder.file("kernel", &kernel(&debug_exit(0x10)));
    (folder, kernel)
}

fn names(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("machines"));
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let names = entries.into_iter().flatten();
    names
        .map(|entry| name(entry).into_string().unwrap())
        .collect()
}

#[test]
fn a_name_keeps_a_machine_and_starts_it_again() {
    let (folder, kernel) = rig("again");
    let ended = |done: &Done| assert_eq!((done.code(), &*done.stderr), (Some(0x21), ""));
    let first = || {
        let mut command = run(&kernel);
        command.args(["--debug-exit", "--name", "a", "--cpus", "2"]);
        command
    };
    ended(&finish(at(&mut first(), folder.path())));
    let text = folder.path().join("machines/a/machine.toml");
    let text = std::fs::read_to_string(text).unwrap();
    for line in ["cpus = 2", "memory = \"16M\"", "debug_exit = true"] {
        assert!(text.contains(line), "{text}");
    }
    ended(&finish(at(
        suz().args(["run", "--name", "a"]),
        folder.path(),
    )));
    ended(&finish(at(&mut first(), folder.path())));
    let more = refused(at(first().args(["--disk", "d"]), folder.path()));
    assert!(more.contains("with other disks"), "{more}");
    let mut other = suz();
    let other = other.args(["run", "--name", "a", "--cpus", "3"]);
    let line = refused(at(other, folder.path()));
    assert!(line.contains("with other number of processors"), "{line}");
    let rm = refused(at(
        suz().args(["run", "--name", "a", "--rm"]),
        folder.path(),
    ));
    assert!(rm.contains("--rm is for machines"), "{rm}");
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn mistakes_leave_no_machine_behind() {
    let (folder, kernel) = rig("mistakes");
    let with = |arguments: &[&str]| {
        let line = refused(at(run(&kernel).args(arguments), folder.path()));
        assert!(names(folder.path()).is_empty(), "{line}");
        line
    };
    let line = with(&["--name", "../a"]);
    assert!(line.contains("can't be a machine's name"), "{line}");
    with(&["--name", "a", "--cpus", "65"]);
    with(&["--name", "a", "--disk", "/nonexistent"]);
    let script = folder.file("script", b"#!/bin/sh");
    let line = refused(at(run(&script).args(["--name", "a"]), folder.path()));
    assert!(line.contains("is a script") && names(folder.path()).is_empty());
    let line = refused(at(suz().args(["rm", "a"]), folder.path()));
    assert!(line.contains("there is no machine a"), "{line}");
}

#[test]
fn rm_at_the_end_and_by_command() {
    let (folder, kernel) = rig("rm");
    let start = |extra: &[&str]| {
        let mut command = run(&kernel);
        command.args(["--debug-exit", "--name", "a"]).args(extra);
        assert_eq!(finish(at(&mut command, folder.path())).code(), Some(0x21));
    };
    start(&["--rm"]);
    assert!(names(folder.path()).is_empty());
    start(&[]);
    assert_eq!(names(folder.path()), ["a"]);
    let done = finish(at(suz().args(["rm", "a"]), folder.path()));
    assert_eq!((done.code(), &*done.stderr), (Some(0), ""));
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_running_machine_is_not_started_or_removed_until_it_is_killed() {
    let folder = Folder::new("held");
    let kernel = folder.file("kernel", &kernel(ECHO));
    let mut command = run(&kernel);
    let mut child = at(command.args(["--name", "a"]), folder.path())
        .spawn()
        .unwrap();
    expect(child.stdout.as_mut().unwrap(), b"!");
    for words in [&["run", "--name", "a"][..], &["rm", "a"]] {
        let line = refused(at(suz().args(words), folder.path()));
        assert!(line.contains("machine a runs already"), "{line}");
    }
    signal(&child, Signal::KILL);
    wait(child);
    let mut again = suz();
    let mut child = at(again.args(["run", "--name", "a"]), folder.path())
        .spawn()
        .unwrap();
    expect(child.stdout.as_mut().unwrap(), b"!");
    signal(&child, Signal::TERM);
    assert_eq!(wait(child).code(), Some(143));
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn a_file_describes_a_machine() {
    let (folder, _) = rig("file");
    let text = "memory = '16M'\nengine = 'soft'\ndebug_exit = true\nboot.kernel = 'kernel'\n";
    let file = folder.file("m.toml", text.as_bytes());
    let file = file.to_str().unwrap();
    let done = finish(suz().args(["run", "-f", file]));
    assert_eq!((done.code(), &*done.stderr), (Some(0x21), ""));
    let mut command = suz();
    command.args(["run", "-f", file, "--name", "a", "--cpus", "2"]);
    assert_eq!(finish(at(&mut command, folder.path())).code(), Some(0x21));
    let line = refused(at(
        suz().args(["run", "-f", file, "--name", "a"]),
        folder.path(),
    ));
    assert!(line.contains("with other number of processors"), "{line}");
    folder.file("m.toml", b"boot.kernel = 'kernel'\nmemory = 'lots'");
    let line = refused(suz().args(["run", "-f", file]));
    assert!(
        line.contains("m.toml: line 2: 'lots' is no amount"),
        "{line}"
    );
    assert!(refused(suz().args(["run", "-f", "/nonexistent"])).contains("/nonexistent: No such"));
}
