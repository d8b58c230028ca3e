//! Machines in the background.
//!
//! The program starts itself once more with [`OPTION`], and waits until that one says by a byte on its standard output
//! that the machine runs. Until then both have the same standard error and session, so that what is wrong is said
//! where it was asked, and Ctrl-C ends both; from then on the machine's process is on its own and writes to `log`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use rustix::stdio::{dup2_stderr, dup2_stdout};

use crate::Status;
use crate::cli;
use crate::folder::{Folder, Machines};

/// What tells `suz run` that it is the machine's process.
pub(crate) const OPTION: &str = "background";

/// Bytes after which a log becomes the old one.
const LOG: u64 = 1 << 20;

/// `suz start`.
pub(crate) fn run(arguments: &cli::Start, log: Option<&str>) -> anyhow::Result<Status> {
    let folder = Machines::open()?.named(&arguments.name)?;
    // Said here, it is said before anything is started.
    drop(folder.clone().hold()?);
    let status = start(&folder, &[], log)?;
    if status == Status::DONE && arguments.attach {
        return crate::attach::attach(&folder);
    }
    Ok(status)
}

/// Starts the machine's process, and returns when the machine runs, or with the status of what went wrong.
pub(crate) fn start(
    folder: &Folder,
    options: &[&str],
    log: Option<&str>,
) -> anyhow::Result<Status> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("suz");
    if let Some(filter) = log {
        command.args(["--log", filter]);
    }
    command.args(["run", "--name", folder.name().as_str()]);
    command.arg(format!("--{OPTION}")).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting the machine's process")?;
    let mut stdout = child.stdout.take().context("the machine's process")?;
    if stdout.read(&mut [0]).is_ok_and(|count| count == 1) {
        return Ok(Status::DONE);
    }
    let status = child.wait().context("the machine's process")?;
    match status.code() {
        // It said why.
        Some(code) if code != 0 => Ok(Status(u8::try_from(code).unwrap_or(Status::DIED.0))),
        _ => bail!(
            "machine {} did not start: its process ended ({status})",
            folder.name()
        ),
    }
}

/// Says that the machine runs, and leaves the session.
pub(crate) fn ready(folder: &Folder) -> anyhow::Result<()> {
    let path = folder.path().join("log");
    let log = open(&path).with_context(|| path.display().to_string())?;
    rustix::process::setsid().context("a session of its own")?;
    // Files of others are not held on to.
    std::env::set_current_dir("/").context("/")?;
    dup2_stderr(&log).context("standard error")?;
    // That nobody waits any more changes nothing.
    let _ = io::stdout()
        .write_all(b"\n")
        .and_then(|()| io::stdout().flush());
    let nowhere = File::options().write(true).open("/dev/null");
    dup2_stdout(nowhere.context("/dev/null")?).context("standard output")?;
    Ok(())
}

fn open(path: &std::path::Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|metadata| metadata.len() > LOG) {
        fs::rename(path, path.with_extension("1"))?;
    }
    let mut options = File::options();
    options.append(true).create(true).mode(0o600).open(path)
}
