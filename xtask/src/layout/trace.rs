//! Which functions a program enters: a breakpoint at each, which goes when it is met.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::libc::{__WALL, PTRACE_EVENT_EXEC};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, waitpid};

use super::Functions;

/// What a shell does until it is told to become the program.
const WAIT: &str = "read -r go && exec \"$@\"";

/// Threads are waited for as well as processes.
const ALL: WaitOptions = WaitOptions::from_bits_retain(__WALL.cast_unsigned());
/// INT3.
const BREAKPOINT: u8 = 0xcc;
/// The program has started when it enters no new function for so long.
const QUIET: Duration = Duration::from_millis(1500);

/// The program, held.
struct Traced<'a> {
    functions: &'a Functions,
    /// Where the program's file is mapped.
    base: u64,
    /// Places of functions, as they were entered.
    entered: Vec<u64>,
    /// What was there before.
    bytes: HashMap<u64, u8>,
}

/// Runs the program, with its machines in the folder `data`; the places of the functions that it enters until it is
/// quiet, then asked for its state, and quiet again.
pub(super) fn entered(
    program: &Path,
    arguments: &[&OsStr],
    data: &Path,
    functions: &Functions,
) -> anyhow::Result<Vec<u64>> {
    let mut ask = Command::new(program);
    ask.arg("ls").env("SUZ_DATA", data).stdout(Stdio::null());
    let mut command = Command::new("sh");
    command
        .args(["-c", WAIT, "sh"])
        .arg(program)
        .args(arguments);
    command.env("SUZ_DATA", data);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().context("sh could not be started")?;
    let traced = trace(&mut child, program, ask, functions);
    child.kill()?;
    // All threads are to be waited for before the process can be.
    while waitpid(None, ALL).is_ok() {}
    traced
}

fn trace(
    child: &mut Child,
    program: &Path,
    ask: Command,
    functions: &Functions,
) -> anyhow::Result<Vec<u64>> {
    let mut ask = Some(ask);
    let main = Pid::from_raw(child.id().cast_signed());
    let options =
        Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::seize(main, options).context("holding the program")?;
    let stdin = child.stdin.take();
    stdin.context("a pipe")?.write_all(b"go\n")?;
    // The first that the process executes may be the shell.
    let is_program = |process| {
        let file = fs::read_link(format!("/proc/{process}/exe"));
        file.map(|file| file == program)
    };
    let mut traced: Option<Traced> = None;
    let mut last = Instant::now();
    loop {
        if traced.is_some() && last.elapsed() > QUIET {
            match ask.take() {
                // Waited for below, as all that ends is.
                Some(mut ask) => drop(ask.spawn()?),
                None => break,
            }
            last = Instant::now();
        }
        let Some((thread, status)) = waitpid(None, ALL | WaitOptions::NOHANG)? else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let thread = Pid::from_raw(thread.as_raw_pid());
        let Some(signal) = status.stopping_signal() else {
            if thread == main {
                bail!("the program ended by itself");
            }
            continue;
        };
        let event = status.as_raw() >> 16;
        if event == PTRACE_EVENT_EXEC && is_program(thread)? {
            traced = Some(Traced::prepare(thread, functions)?);
        }
        let mut passed = None;
        if event == 0 && signal == Signal::SIGTRAP as i32 {
            let traced = traced.as_mut().context("a trap before the program")?;
            traced.step(thread)?;
            last = Instant::now();
        } else if event == 0 {
            // Signals for real time can't be passed on; that they interrupt the thread does.
            passed = Signal::try_from(signal).ok();
        }
        ptrace::cont(thread, passed)?;
    }
    traced
        .map(|traced| traced.entered)
        .context("no program was started")
}

impl<'a> Traced<'a> {
    /// Puts the breakpoints.
    fn prepare(process: Pid, functions: &'a Functions) -> anyhow::Result<Self> {
        let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
        let first = maps.split('-').next().context("no mappings")?;
        let base = u64::from_str_radix(first, 16).context("mappings")?;
        let mut bytes = HashMap::new();
        for &at in functions.keys() {
            bytes.insert(at, exchange(process, base + at, BREAKPOINT)?);
        }
        Ok(Self {
            functions,
            base,
            entered: Vec::new(),
            bytes,
        })
    }

    /// A thread met a breakpoint, perhaps one that another thread has met since and is gone.
    fn step(&mut self, thread: Pid) -> anyhow::Result<()> {
        let mut registers = ptrace::getregs(thread)?;
        let at = registers.rip - 1 - self.base;
        if !self.functions.contains_key(&at) {
            bail!("a trap of the program's own at {at:#x}");
        }
        if let Some(byte) = self.bytes.remove(&at) {
            exchange(thread, self.base + at, byte)?;
            self.entered.push(at);
        }
        registers.rip -= 1;
        ptrace::setregs(thread, registers)?;
        Ok(())
    }
}

/// Puts a byte into the program's memory; the one that was there.
fn exchange(thread: Pid, at: u64, byte: u8) -> anyhow::Result<u8> {
    let at = at as ptrace::AddressType;
    let mut word = ptrace::read(thread, at)?.to_le_bytes();
    let before = std::mem::replace(&mut word[0], byte);
    ptrace::write(thread, at, i64::from_le_bytes(word))?;
    Ok(before)
}
