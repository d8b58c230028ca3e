//! Suzerain: virtual machines on any Linux host.

use std::process::ExitCode;

fn main() -> ExitCode {
    suz::main()
}
