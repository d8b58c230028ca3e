//! `suz shell`, with a socket in the place of a guest's vsock device.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::background::Machines;
use crate::support::{SPIN, finish};

/// A program in place of ssh, that says how it was called and then does what a ProxyCommand is for.
const SSH: &str = "#!/bin/sh
for word in \"$@\"; do echo \"[$word]\"; case $word in ProxyCommand=*) proxy=${word#ProxyCommand=};; esac; done
echo ping | sh -c \"exec $proxy\"
exit 7
";

/// Starts a machine with a vsock device, and takes the place of its socket.
fn start(machines: &Machines) -> UnixListener {
    let socket = machines.data().join("guest.sock");
    machines.start("a", SPIN, &["--vsock", socket.to_str().unwrap()]);
    std::fs::remove_file(&socket).unwrap();
    UnixListener::bind(socket).unwrap()
}

/// Answers one connection as a vsock device does, and then sends back what comes.
fn guest(listener: UnixListener) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 11];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"CONNECT 22\n");
        stream.write_all(b"OK 1073741824\n").unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        stream.write_all(&text).unwrap();
    })
}

/// A folder with this ssh in it, and the real ssh-keygen.
fn programs(machines: &Machines, ssh: Option<&str>) -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = machines.data().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    if let Some(ssh) = ssh {
        let path = folder.join("ssh");
        std::fs::write(&path, ssh).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

fn has_ssh_keygen() -> bool {
    let there = Command::new("ssh-keygen").arg("-?").output().is_ok();
    if !there {
        println!("SKIPPED: no ssh-keygen here");
    }
    there
}

#[test]
fn ssh_is_called_with_the_machines_socket_and_key() {
    if !has_ssh_keygen() {
        return;
    }
    let machines = Machines::new("shell");
    let guest = guest(start(&machines));
    let mut command = machines.suz(&["shell", "--user", "me", "a", "--", "echo", "two words"]);
    let done = finish(command.env("PATH", programs(&machines, Some(SSH))));
    assert_eq!(done.code(), Some(7), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.ends_with("ping\n"), "{said}");
    guest.join().unwrap();
    let key = machines.data().join("ssh/id_ed25519");
    let key = std::fs::canonicalize(key).unwrap();
    for wanted in [
        format!("[-i]\n[{}]", key.display()),
        "[StrictHostKeyChecking=no]".into(),
        "[UserKnownHostsFile=/dev/null]".into(),
        "[LogLevel=ERROR]".into(),
        "[-l]\n[me]\n[a]\n[--]\n[echo 'two words']".into(),
    ] {
        assert!(said.contains(&wanted), "{wanted} in {said}");
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(key.parent().unwrap()).unwrap().count(), 2);
}

/// `suz run IMAGE --name a -- COMMAND` of a machine that runs is `suz shell`.
#[test]
fn a_command_is_run_in_the_machine_that_runs() {
    if !has_ssh_keygen() {
        return;
    }
    let machines = Machines::new("run-shell");
    let listener = start(&machines);
    let path = machines.path("a").join("machine.toml");
    let spec = std::fs::read_to_string(&path).unwrap();
    let run = ["run", "tiny", "--name", "a", "--", "uname"];
    let line = machines.refused(&run);
    assert!(line.contains("not made of the image tiny"), "{line}");
    std::fs::write(&path, format!("image = 'tiny'\n{spec}")).unwrap();
    let other = ["run", "tiny", "--name", "a", "--cpus", "3", "--", "uname"];
    let line = machines.refused(&other);
    assert!(line.contains("with other number of processors"), "{line}");
    let guest = guest(listener);
    let mut command = machines.suz(&run);
    let done = finish(command.env("PATH", programs(&machines, Some(SSH))));
    assert_eq!(done.code(), Some(7), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("[--]\n[uname]\n"), "{said}");
    guest.join().unwrap();
    assert_eq!(machines.state(), "running");
}

#[test]
fn what_is_missing_is_said() {
    let machines = Machines::new("no-shell");
    let line = machines.refused(&["shell", "a"]);
    assert!(line.contains("there is no machine a"), "{line}");
    machines.start("b", SPIN, &[]);
    for words in [&["shell", "b"][..], &["vsock-connect", "b", "22"]] {
        let line = machines.refused(words);
        assert!(line.contains("machine b has no vsock device"), "{line}");
    }
    drop(start(&machines));
    if has_ssh_keygen() {
        let keygen = machines
            .suz(&["shell", "a"])
            .env("PATH", "/nonexistent")
            .output()
            .unwrap();
        let line = String::from_utf8(keygen.stderr).unwrap();
        assert!(
            line.contains("openssh-client") && line.lines().count() == 1,
            "{line}"
        );
    }
    let line = machines.refused(&["vsock-connect", "a", "22"]);
    assert!(line.contains("guest.sock: Connection refused"), "{line}");
}
