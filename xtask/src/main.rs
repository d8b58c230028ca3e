//! The repository's chores: `cargo xtask --help`.

mod bench;
mod cargo;
mod fuzz_cpu;
mod guests;
mod layout;
mod lockstep;
mod man;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The repository's chores.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    Bench(bench::Arguments),
    FuzzCpu(fuzz_cpu::Arguments),
    Guests(guests::Arguments),
    Layout(layout::Arguments),
    Lockstep(lockstep::Arguments),
    Man(man::Arguments),
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::FuzzCpu(arguments) => fuzz_cpu::run(&arguments),
        Chore::Guests(arguments) => guests::run(&arguments),
        Chore::Layout(arguments) => layout::run(&arguments),
        Chore::Lockstep(arguments) => lockstep::run(&arguments),
        Chore::Man(arguments) => man::run(&arguments),
        Chore::Test(arguments) => test::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
