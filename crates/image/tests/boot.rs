//! The user spaces made here, on an independent machine: QEMU, without hardware virtualization.
//!
//! Skipped where QEMU is not installed or the guests are not in the cache.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use image::{Cache, Known, user_space};

/// A machine whose serial port is a pair of pipes.
struct Qemu {
    process: Child,
    output: ChildStdout,
    seen: String,
    /// How much of it has been matched.
    matched: usize,
}

impl Qemu {
    fn start(kernel: &Path, initrd: &Path, command_line: &str) -> Option<Self> {
        // `timeout` ends a guest that hangs.
        let mut command = Command::new("timeout");
        command.args([
            "120",
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-m",
            "256",
            "-nographic",
            "-no-reboot",
        ]);
        command.args(["-nodefaults", "-serial", "stdio", "-append", command_line]);
        command
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initrd);
        if Command::new("qemu-system-x86_64")
            .arg("--version")
            .output()
            .is_err()
        {
            eprintln!("SKIPPED: no qemu-system-x86_64 on this host");
            return None;
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`timeout` is part of every Debian");
        let output = process
            .stdout
            .take()
            .expect("the standard output was asked for as a pipe");
        Some(Self {
            process,
            output,
            seen: String::new(),
            matched: 0,
        })
    }

    /// Reads until `text` shows up after what was matched before.
    fn expect(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen[self.matched..].find(text) {
                self.matched += at + text.len();
                return;
            }
            let mut bytes = [0; 256];
            let count = self.output.read(&mut bytes).expect("a pipe can be read");
            assert!(
                count > 0,
                "the machine ended without saying {text:?}, but:\n{}",
                self.seen
            );
            self.seen
                .push_str(&String::from_utf8_lossy(&bytes[..count]).replace('\r', ""));
        }
    }

    fn type_line(&mut self, line: &str) {
        let input = self
            .process
            .stdin
            .as_mut()
            .expect("the standard input was asked for as a pipe");
        writeln!(input, "{line}").expect("the machine takes input");
    }

    /// Waits for the end; true if the guest powered the machine off.
    fn ends_well(mut self) -> bool {
        self.output
            .read_to_end(&mut Vec::new())
            .expect("a pipe can be read");
        self.process.wait().expect("it was started").success()
    }
}

#[test]
fn the_demonstration_is_an_interactive_shell_that_powers_off() {
    let cache = Cache::open().unwrap();
    if [Known::Cloud, Known::Busybox]
        .iter()
        .any(|&known| cache.find(known).is_none())
    {
        eprintln!("SKIPPED: `cargo xtask guests cloud busybox` fetches what this needs");
        return;
    }
    let demonstration = cache.demonstration().unwrap();
    let machine = Qemu::start(
        &demonstration.kernel,
        &demonstration.initrd,
        demonstration.command_line,
    );
    let Some(mut machine) = machine else { return };
    machine.expect("suz:~# ");
    machine.type_line(
        "sleep 100 & jobs; echo $((6 * 7)) processes-$(ps | grep -c '[k]threadd') $(tty)",
    );
    machine.expect("Running");
    machine.expect("42 processes-1 /dev/ttyS0\n");
    assert!(
        !machine.seen.contains("can't access tty"),
        "{}",
        machine.seen
    );
    machine.type_line("cd /proc");
    machine.expect("suz:/proc# ");
    machine.type_line("exit");
    assert!(machine.ends_well());
}

#[test]
fn a_script_runs_on_a_32_bit_kernel_and_powers_off() {
    let cache = Cache::open().unwrap();
    let (Some(kernel), Some(busybox)) = (cache.find(Known::I686), cache.find(Known::Busybox386))
    else {
        eprintln!("SKIPPED: `cargo xtask guests 686 busybox-i386` fetches what this needs");
        return;
    };
    let busybox = std::fs::read(busybox.path).unwrap();
    let script = "echo pid $$ on $(uname -m); sha256sum /data/hello; mount | wc -l";
    let user_space = user_space::script(&busybox, script).file("data/hello", 0o644, b"hello\n");
    let initrd = cache.initrd("boot-test", &user_space).unwrap();
    let Some(mut machine) = Qemu::start(&kernel.path, &initrd, "console=ttyS0 quiet") else {
        return;
    };
    machine.expect("pid 1 on i686\n");
    machine.expect(
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  /data/hello\n5\n",
    );
    assert!(machine.ends_well());
}
