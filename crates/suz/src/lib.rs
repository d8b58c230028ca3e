//! The program `suz`: its command line, and what each command does.
//!
//! A library beside the program, so that the manual pages are made from the same definitions.

mod attach;
mod background;
pub mod cli;
mod control;
mod data;
mod disk;
mod doctor;
mod folder;
mod images;
mod log;
mod ls;
mod personal;
mod rm;
mod run;
mod shell;
mod status;
mod stop;
mod terminal;
mod vsock;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
pub use status::Status;

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = cli.log.as_deref();
    let done = log::start(filter).and_then(|()| match cli.command {
        Command::Run(arguments) => run::run(&arguments, filter),
        Command::Doctor => Ok(doctor::run()),
        Command::Disk(command) => disk::run(&command),
        Command::Image(command) => images::run(&command),
        Command::Ls(arguments) => ls::run(&arguments),
        Command::Start(arguments) => background::run(&arguments, filter),
        Command::Stop(arguments) => stop::run(&arguments),
        Command::Console(arguments) => attach::run(&arguments),
        Command::Shell(arguments) => shell::run(&arguments),
        Command::Rm(arguments) => rm::run(&arguments),
        Command::VsockConnect(arguments) => vsock::run(&arguments),
    });
    // Whatever happened, nobody is left with a raw terminal.
    host::terminal::restore();
    match done {
        Ok(status) => status.into(),
        Err(error) => {
            say(&format!("{error:#}"));
            Status::MISTAKE.into()
        }
    }
}

/// A line to whoever runs the program. That nobody reads it changes nothing.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "suz: {line}");
}

/// The same, on a terminal where somebody else's line may stand unfinished.
fn say_below(line: &str) {
    let _ = writeln!(io::stderr(), "\nsuz: {line}");
}
