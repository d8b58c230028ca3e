//! The host's own programs: apt, dpkg-deb, tar, gzip, sha256sum.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};

use crate::Error;

/// What a program that ran has to say.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    /// The most telling line of its standard error: apt's first `E:` line, else its first `W:` line, else the last.
    pub(crate) complaint: String,
}

/// A command without the user's language or terminal in it.
pub(crate) fn command(tool: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(tool);
    command
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    command
}

/// Says which program could not be started, and why.
pub(crate) fn failure(command: &Command, source: io::Error) -> Error {
    let tool = command.get_program().to_string_lossy().into_owned();
    match source.kind() {
        io::ErrorKind::NotFound => Error::NoTool { tool },
        _ => Error::Tool { tool, source },
    }
}

/// Runs a program to its end; that it fails is part of the answer.
pub(crate) fn ask(command: &mut Command) -> Result<Answer, Error> {
    let output = command
        .output()
        .map_err(|source| failure(command, source))?;
    Ok(Answer {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaint: complaint(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// Runs a program that must succeed and returns its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let answer = ask(command)?;
    if answer.success {
        return Ok(answer.stdout);
    }
    let tool = command.get_program().to_string_lossy().into_owned();
    Err(Error::ToolFailed {
        tool,
        detail: answer.complaint,
    })
}

pub(crate) fn complaint(stderr: &str) -> String {
    let lines = || {
        stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let telling = lines()
        .find(|line| line.starts_with("E:"))
        .or_else(|| lines().find(|line| line.starts_with("W:")))
        .or_else(|| lines().next_back())
        .unwrap_or("it gave no reason");
    telling.trim_start_matches(['E', 'W', ':', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_beats_warnings_and_the_last_line() {
        assert_eq!(
            complaint("W: old\nE: Unable to fetch\nE: Some files\nbye\n"),
            "Unable to fetch"
        );
        assert_eq!(complaint("W: old\nbye\n"), "old");
        assert_eq!(
            complaint("tar: x: Not found\ntar: Exiting\n\n"),
            "tar: Exiting"
        );
        assert_eq!(complaint(""), "it gave no reason");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut command("no-such-program-here")).unwrap_err();
        assert!(
            matches!(&error, Error::NoTool { tool } if tool == "no-such-program-here"),
            "{error:?}"
        );
    }

    #[test]
    fn a_failing_program_gives_its_reason() {
        let error = run(command("sh").args(["-c", "echo 'E: broken' >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh` failed: broken");
    }
}
