//! `cargo xtask lockstep`: Debian's kernel boots, translated code beside the interpreter.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use crate::cargo;

/// What the guest's shell does before it powers off.
const WORK: &str = "\
seq 1 20000 | sha256sum
seq 1 20000 | gzip -9 | gunzip | md5sum
awk 'BEGIN { x = 1; for (i = 1; i < 20000; i++) x = x * 1.0001 + 1 / i; print x }'
i=0; while [ $i -lt 100 ]; do busybox true; i=$((i+1)); done
exit
";

/// How the figure is called that `--stats` prints.
const COMPARED: &str = "instructions compared in lockstep";

/// Boots Debian's kernel in lockstep with the interpreter, again and again until so many instructions were compared
///
/// The first difference ends it; the guest's code, both states and the memory that was written are printed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many instructions of translated code to compare
    #[arg(long, default_value_t = 1_000_000_000)]
    instructions: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = cargo::suz()?;
    let start = Instant::now();
    let (mut compared, mut boots) = (0, 0);
    while compared < arguments.instructions {
        let rest = arguments.instructions - compared;
        let mut command = Command::new(&program);
        command.args(["run", "--stats", &format!("--lockstep={rest}")]);
        let found = boot(&mut command)?;
        if found == 0 {
            bail!("a boot compared nothing");
        }
        compared += found;
        boots += 1;
        println!(
            "{boots} boots, {compared} instructions compared, {:.0} s",
            start.elapsed().as_secs_f64()
        );
    }
    println!("no difference");
    Ok(())
}

/// One boot to its power-off: how many instructions were compared.
fn boot(command: &mut Command) -> anyhow::Result<u64> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("suz could not be started")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(WORK.as_bytes())?;
    }
    let done = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        bail!("{}\n{said}", done.status);
    }
    let figure = said.lines().find_map(|line| line.strip_suffix(COMPARED));
    let figure = figure.context("the statistics lack the figure")?;
    Ok(figure.trim().parse()?)
}
