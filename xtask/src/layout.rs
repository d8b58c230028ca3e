//! `cargo xtask layout`: the functions that a start needs, side by side in the program.
//!
//! On KVM, with a name, and on the software CPU, in this order.
//!
//! The host maps a program's pages sixteen at a time around each that is touched. Where the functions of a start lie
//! scattered over the program, most of it ends up as the process's memory. The list is a linker script,
//! `crates/suz/start.ld`; a function that it names and the program has no more is no error.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::{bench, cargo};

mod name;
mod trace;

/// The list, in the workspace.
const SCRIPT: &str = "crates/suz/start.ld";

/// A name that fits so many times the bytes that the start needs fits too much.
const LOOSE: u64 = 4;
/// Bytes that a name may fit in any case.
const FEW: u64 = 1024;

/// Lists the functions that a machine's start needs, for the linker to lay side by side
///
/// Runs the program and notes which functions it enters. To be repeated when the bench's memory row has grown.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// A function of the program.
struct Function {
    /// Its symbols: one names its section, others are of functions with the same code.
    names: Vec<String>,
    size: u64,
}

/// Functions by their place in the file.
type Functions = BTreeMap<u64, Function>;

pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    let suz = cargo::suz()?;
    let functions = functions(&suz)?;
    let kernel = bench::guest_of_nothing()?;
    // Where the machine with a name is made.
    let data = cargo::root().join("target/layout");
    let kvm = ["run", "--engine", "kvm", "--memory", "128M", "--kernel"];
    let mut bare: Vec<&OsStr> = kvm.map(OsStr::new).into();
    bare.push(kernel.as_os_str());
    let mut named = bare.clone();
    named.extend(["--name", "layout"].map(OsStr::new));
    let soft = ["run", "--engine", "soft"].map(OsStr::new).into();
    let mut entered = Vec::new();
    for run in [bare, named, soft] {
        entered.extend(trace::entered(&suz, &run, &data, &functions)?);
    }
    fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
    let mut seen = HashSet::new();
    entered.retain(|at| seen.insert(*at));
    let text = script(&functions, &entered);
    fs::write(cargo::root().join(SCRIPT), text).context(SCRIPT)?;
    println!("{SCRIPT}: {} functions", entered.len());
    Ok(())
}

/// The program's functions of Rust.
fn functions(program: &Path) -> anyhow::Result<Functions> {
    let mut nm = Command::new("nm");
    nm.args(["--defined-only", "--print-size"]).arg(program);
    let output = nm.output().context("nm, of binutils, could not be run")?;
    if !output.status.success() {
        bail!("nm failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).context("symbols")?;
    let mut functions = Functions::new();
    for (at, size, name) in text.lines().filter_map(symbol) {
        let names = Vec::new();
        let function = functions.entry(at).or_insert(Function { names, size });
        function.names.push(name);
    }
    Ok(functions)
}

/// Place, size and name of a function, out of a line of `nm`.
fn symbol(line: &str) -> Option<(u64, u64, String)> {
    let mut words = line.split(' ');
    let at = u64::from_str_radix(words.next()?, 16).ok()?;
    let size = u64::from_str_radix(words.next()?, 16).ok()?;
    let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
    let name = words.next()?.to_owned();
    (is_code && name::is_of_rust(&name)).then_some((at, size, name))
}

/// The linker script for these functions, in this order.
fn script(functions: &Functions, entered: &[u64]) -> String {
    // Bytes that each pattern fits: in the program, and of those that are needed.
    let mut sizes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for function in functions.values() {
        for name in &function.names {
            sizes.entry(name::pattern(name)).or_default().0 += function.size;
        }
    }
    let entered = || entered.iter().map(|at| &functions[at]);
    for function in entered() {
        for name in &function.names {
            sizes.entry(name::pattern(name)).or_default().1 += function.size;
        }
    }
    let mut names: Vec<String> = Vec::new();
    let mut loose = Vec::new();
    for name in entered().flat_map(|function| &function.names) {
        let pattern = name::pattern(name);
        let (all, needed) = sizes[&pattern];
        if all <= LOOSE * needed + FEW {
            names.push(pattern);
        } else {
            names.push(name.clone());
            loose.push(pattern);
        }
    }
    // Where exact names have changed, these are at least near.
    names.extend(loose);
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let mut text = HEAD.to_owned();
    for name in names {
        let _ = writeln!(text, "    *(.text.{name} .text.unlikely.{name})");
    }
    text + TAIL
}

const HEAD: &str = "\
/* The functions that a machine's start needs, in the order in which they are entered, for the linker to lay side by side.
   Written by `cargo xtask layout`, which tells more. */
SECTIONS
{
  .text.start :
  {
";
const TAIL: &str = "  }
}
INSERT BEFORE .text;
";

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, size: u64) -> Function {
        Function {
            names: vec![name.to_owned()],
            size,
        }
    }

    #[test]
    fn names_that_fit_too_much_are_exact_first_and_loose_at_the_end() {
        let grow = |hash: &str| format!("_ZN5alloc4grow17h{hash}E");
        let functions = Functions::from([
            (1, function(&grow("0000000000000001"), 100)),
            (2, function(&grow("0000000000000002"), 9000)),
            (3, function("_ZN3suz3run17h0000000000000003E", 5000)),
        ]);
        let text = script(&functions, &[1, 3]);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("*(")).collect();
        let line = |name: &str| format!("    *(.text.{name} .text.unlikely.{name})");
        let wanted = [
            line(&grow("0000000000000001")),
            line("_ZN3suz3run17h*"),
            line("_ZN5alloc4grow17h*"),
        ];
        assert_eq!(lines, wanted);
    }
}
