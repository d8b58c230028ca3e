//! The program `suz`: its command line, and what each command does.
//!
//! A library beside the program, so that the manual pages are made from the same definitions.

pub mod cli;
mod data;
mod disk;
mod doctor;
mod folder;
mod images;
mod log;
mod personal;
mod rm;
mod run;
mod status;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
pub use status::Status;

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = log::start(cli.log.as_deref()).and_then(|()| match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Doctor => Ok(doctor::run()),
        Command::Disk(command) => disk::run(&command),
        Command::Image(command) => images::run(&command),
        Command::Rm(arguments) => rm::run(&arguments),
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
