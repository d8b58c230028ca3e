//! One run of mmdebstrap.
//!
//! It checks apt's signatures, and runs the packages' own scripts in a chroot: as root, or in a user namespace whose
//! root is one of this user's subordinate ids. There the hooks run as well, so that the disk's files have the owners
//! that they should have.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};

use super::disk::NewDisk;
use super::files::File;
use crate::apt::Sources;
use crate::guest::Release;
use crate::{Error, tool};

/// What goes into it.
pub(super) struct Bootstrap<'a> {
    pub(super) program: PathBuf,
    pub(super) release: Release,
    pub(super) sources: Sources,
    pub(super) packages: &'a [&'a str],
    /// Files that are there before the packages.
    pub(super) early: Vec<File>,
    /// The script that runs in the new system at the end.
    pub(super) late: &'static str,
    /// Of the file system.
    pub(super) uuid: String,
}

/// Between two looks at what the program says.
const STEP: Duration = Duration::from_millis(100);

/// Starts a program with the disk as descriptor 3: the namespace's root could not open it by a path. When this process
/// dies, the program is told to end.
const START: &str = "exec 3<>\"$0\" && exec setpriv --pdeathsig TERM \"$@\"";

/// What mmdebstrap says, and what that means.
const STEPS: [(&str, &str); 5] = [
    ("I: running apt-get update", "fetching the package index"),
    (
        "I: downloading packages",
        "fetching packages (about 130 MB)",
    ),
    (
        "I: installing essential packages",
        "installing the base system",
    ),
    (
        "I: installing remaining packages",
        "installing kernel and services",
    ),
    ("I: running --customize-hook", "writing the disk"),
];

impl Bootstrap<'_> {
    /// Runs it to its end.
    pub(super) fn run(&self, disk: &NewDisk, notice: &dyn Fn(&str)) -> Result<(), Error> {
        tool::run(tool::command("mke2fs").env("PATH", path()).arg("-V"))?;
        let sources = std::env::temp_dir().join(format!("suz-{}.sources", std::process::id()));
        std::fs::write(&sources, &self.sources.stanzas).map_err(Error::file("write", &sources))?;
        let run = self.run_from(&sources, disk, notice);
        let _ = std::fs::remove_file(&sources);
        run
    }

    fn run_from(
        &self,
        sources: &std::path::Path,
        disk: &NewDisk,
        notice: &dyn Fn(&str),
    ) -> Result<(), Error> {
        let mut command = tool::command("sh");
        command.env("PATH", path());
        command.args(["-c", START]).arg(disk.path());
        command.arg("perl").arg(&self.program).args([
            "--mode=auto",
            "--variant=minbase",
            "--architectures=amd64",
            "--format=null",
        ]);
        command.arg(format!("--include={}", self.packages.join(",")));
        for option in &self.sources.options {
            command.arg(format!("--aptopt={option}"));
        }
        command.arg(format!("--essential-hook={}", early(&self.early)));
        command.arg(format!("--customize-hook={}", late(self.late, &self.uuid)));
        command
            .arg(self.release.codename())
            .arg("/dev/null")
            .arg(sources);
        let log = log().map_err(|error| tool::failure(&command, error))?;
        let end = log
            .try_clone()
            .map_err(|error| tool::failure(&command, error))?;
        command.stdout(Stdio::null()).stderr(end);
        let spawned = command.spawn();
        let mut child = spawned.map_err(|error| tool::failure(&command, error))?;
        let mut said = Said::default();
        let status = loop {
            let status = child.try_wait();
            let status = status.map_err(|error| tool::failure(&command, error))?;
            said.read(&log, notice);
            match status {
                Some(status) => break status,
                None => std::thread::sleep(STEP),
            }
        };
        if status.success() {
            return Ok(());
        }
        Err(failure(&said.text))
    }
}

/// What a program says, as far as it has been read.
#[derive(Default)]
struct Said {
    text: String,
    at: u64,
    /// The start of a line.
    rest: Vec<u8>,
}

impl Said {
    /// Reads on, and tells of the steps.
    fn read(&mut self, log: &fs::File, notice: &dyn Fn(&str)) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = log.read_at(&mut bytes, self.at) {
            self.at += count as u64;
            self.rest.extend(&bytes[..count]);
        }
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            tracing::debug!("mmdebstrap: {}", line.trim_end());
            let step = STEPS.iter().find(|(start, _)| line.starts_with(start));
            step.iter().for_each(|(_, step)| notice(step));
            self.text.push_str(&line);
        }
    }
}

/// A file without a name for what a program says. By a pipe it could not clean up when this process has died.
fn log() -> std::io::Result<fs::File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
    Ok(open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// What is wrong, and what to do about it.
fn failure(said: &str) -> Error {
    let detail = tool::complaint(said);
    let needs_ids = ["chroot mode", "subuid", "uid map", "unshare", "newuidmap"];
    if needs_ids.iter().any(|word| detail.contains(word)) {
        return Error::NoNamespace { detail };
    }
    Error::ToolFailed {
        tool: "mmdebstrap".into(),
        detail,
    }
}

/// Where programs are, those of administrators too.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// The hook that puts files into the system, whose folder is `$1`.
fn early(files: &[File]) -> String {
    let mut script = "set -eu\n".to_owned();
    for File { path, mode, text } in files {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        // Writing to a string does not fail.
        let _ = write!(
            script,
            "mkdir -p \"$1/{folder}\"\ncat > \"$1/{path}\" <<'END OF FILE'\n{text}END OF FILE\n\
             chmod {mode:o} \"$1/{path}\"\n"
        );
    }
    script
}

/// The hook that runs a script in the system, and writes that to descriptor 3: without what is mounted in it, and
/// without what is mmdebstrap's own, which has to be in its place again afterwards. The namespace's root may not enter
/// the folder that the user is in. In /tmp is what keeps apt away from the host's own folders.
fn late(script: &str, uuid: &str) -> String {
    format!(
        "set -eu\ncd /\nchroot \"$1\" sh -s <<'END OF FILE'\n{script}END OF FILE\n\
         work=$(mktemp -d)\nmkdir \"$work/root\" \"$work/tmp\" \"$work/settings\"\n\
         settings=$1/etc/apt/apt.conf.d\nback() {{\n\
         mv \"$work/settings/00mmdebstrap\" \"$settings\"\n\
         find \"$work/tmp\" -mindepth 1 -maxdepth 1 -exec mv -t \"$1/tmp\" {{}} +\n\
         rmdir \"$work/root\" \"$work/tmp\" \"$work/settings\" \"$work\"\n}}\n\
         mv \"$settings/00mmdebstrap\" \"$work/settings\"\n\
         find \"$1/tmp\" -mindepth 1 -maxdepth 1 -exec mv -t \"$work/tmp\" {{}} +\n\
         if mount --bind \"$1\" \"$work/root\" 2>/dev/null; then root=$work/root; else root=$1; fi\n\
         rc=0\nmke2fs -q -F -t ext4 -L root -U {uuid} -m 1 -d \"$root\" /dev/fd/3 1>&2 || rc=$?\n\
         [ \"$root\" = \"$1\" ] || umount \"$root\"\nback \"$1\"\nexit $rc\n"
    )
}
