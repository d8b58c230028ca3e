//! `suz shell`: the host's ssh, by the machine's vsock socket instead of a network.

use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::Status;
use crate::cli;
use crate::control::Description;
use crate::folder::Machines;
use crate::{personal, vsock};

/// The port where guests' sshd listens.
pub(crate) const PORT: u32 = 22;
/// How long after its start a guest may not listen yet.
const BOOT: Duration = Duration::from_secs(120);

pub(crate) fn run(arguments: &cli::Shell) -> anyhow::Result<Status> {
    let folder = Machines::open()?.named(&arguments.name)?;
    let told: Description = folder.client()?.get("/machine")?;
    let name = folder.name().as_str();
    let socket = vsock::socket(&told.spec).with_context(|| vsock::lacking(name))?;
    let uptime = Duration::try_from_secs_f64(told.uptime).unwrap_or(BOOT);
    let patience = BOOT.saturating_sub(uptime).max(Duration::from_secs(1));
    let user = arguments.user.clone().unwrap_or_else(personal::user);
    let mut command = ssh(socket, patience, &user, name, &arguments.command)?;
    let status = command.status().context(NEEDED)?;
    Ok(ended(status))
}

/// What is said where there is no ssh.
pub(crate) const NEEDED: &str = "ssh, which leads into machines (package openssh-client)";

/// The host's ssh, about to log in by a machine's socket, where it waits so long for an sshd; with a command or without.
pub(crate) fn ssh(
    socket: &Path,
    patience: Duration,
    user: &str,
    name: &str,
    words: &[String],
) -> anyhow::Result<Command> {
    let mut command = Command::new("ssh");
    // The user's own settings are for the user's own hosts.
    command.args(["-F", "none", "-i"]).arg(personal::key()?);
    for option in [
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
    ] {
        command.args(["-o", option]);
    }
    command
        .arg("-o")
        .arg(format!("ProxyCommand={}", proxy(socket, patience)?));
    if !words.is_empty() && io::stdin().is_terminal() && io::stdout().is_terminal() {
        command.arg("-t");
    }
    command.args(["-l", user, name]);
    if !words.is_empty() {
        command.arg("--").arg(line(words));
    }
    Ok(command)
}

/// How ssh ended, which is how the command did.
pub(crate) fn ended(status: ExitStatus) -> Status {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or_else(|| Status::signal(status.signal().unwrap_or(0)), Status)
}

/// The command by which ssh reaches the guest: this program.
fn proxy(socket: &Path, patience: Duration) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("this program's own file")?;
    let (Some(program), Some(socket)) = (program.to_str(), socket.to_str()) else {
        bail!("{}: ssh takes paths in UTF-8 alone", socket.display());
    };
    let wait = patience.as_secs();
    let line = format!(
        "{} vsock-connect --wait {wait} {} {PORT}",
        quote(program),
        quote(socket)
    );
    Ok(line.replace('%', "%%"))
}

/// What the guest's shell is given. One word is a line of its language; several are a program and its arguments.
fn line(words: &[String]) -> String {
    match words {
        [line] => line.clone(),
        words => words
            .iter()
            .map(|word| quote(word))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// A word as a shell takes it for itself.
fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_a_line_and_several_are_arguments() {
        let line = |words: &[&str]| {
            line(
                &words
                    .iter()
                    .map(|&word| word.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(line(&["ls | wc"]), "ls | wc");
        assert_eq!(
            line(&["ls", "-l", "a b", "it's", ""]),
            r"ls -l 'a b' 'it'\''s' ''"
        );
    }

    #[test]
    fn what_ssh_would_expand_is_kept() {
        let line = proxy(Path::new("/a b/100%/vsock.sock"), Duration::from_secs(3)).unwrap();
        assert!(
            line.ends_with(" vsock-connect --wait 3 '/a b/100%%/vsock.sock' 22"),
            "{line}"
        );
    }
}
