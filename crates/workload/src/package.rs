//! Programs from Debian's packages, each with work as people give it to them.
//!
//! What each puts out is told as a checksum, which must be the same in every guest and on the bare host.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Task;

/// Dictionaries, strings, big numbers, sorting and floats in Python; a unit is a run with its start.
pub(crate) fn python() -> Task {
    let script = input("program.py", include_str!("package/program.py"));
    program("python", "/usr/bin/python3.11", move |command| {
        command.arg("-S").arg(&script);
        None
    })
}

/// Compiles a decoder of images in one C file of some 8,000 lines, optimized.
pub(crate) fn gcc() -> Task {
    let source = input("image.c", include_str!("package/image.c"));
    program("gcc", "/usr/bin/x86_64-linux-gnu-gcc-12", move |command| {
        let object = source.with_extension("o");
        command.args(["-O1", "-c", "-o"]).arg(&object).arg(&source);
        Some(object)
    })
}

/// Tables, indexes, joins and aggregates in a database file.
pub(crate) fn sqlite() -> Task {
    let script = input("query.sql", include_str!("package/query.sql"));
    let database = script.with_extension("db");
    program("sqlite", "/usr/bin/sqlite3", move |command| {
        // There is none at the first run.
        let _ = fs::remove_file(&database);
        command
            .arg(&database)
            .arg(format!(".read {}", script.display()));
        None
    })
}

/// Objects, closures, typed arrays and strings in JavaScript, compiled as it runs.
pub(crate) fn node() -> Task {
    let script = input("program.js", include_str!("package/program.js"));
    program("node", "/usr/bin/node", move |command| {
        command.arg(&script);
        None
    })
}

/// Writes an input file and returns its path.
fn input(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(name);
    fs::write(&path, text).expect("the folder for temporary files takes a file");
    path
}

/// Runs of a program; `arguments` adds those of a run and names the file that it makes, if it makes one.
fn program(
    name: &'static str,
    path: &'static str,
    arguments: impl Fn(&mut Command) -> Option<PathBuf> + 'static,
) -> Task {
    if !Path::new(path).is_file() {
        return Task::Missing(format!("there is no {path}"));
    }
    let mut told = false;
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            let mut command = Command::new(path);
            let made = arguments(&mut command);
            let output = command
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("HOME", "/tmp")
                // The first run in a guest would write what the bare host has from earlier runs.
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .stdin(Stdio::null())
                .stderr(Stdio::inherit())
                .output()
                .expect("the program can be started");
            assert!(
                output.status.success(),
                "{name} ended with {}",
                output.status
            );
            let made = made.map(|path| fs::read(path).expect("the program has made its file"));
            if !told {
                let mut hasher = DefaultHasher::new();
                hasher.write(&output.stdout);
                hasher.write(&made.unwrap_or_default());
                println!("check {name} {:016x}", hasher.finish());
                told = true;
            }
        }
    }))
}
