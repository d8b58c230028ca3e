//! Command lines that start the same guest under either monitor.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::plan::Side;

/// Suzerain or QEMU.
pub(crate) struct Monitor {
    pub(crate) side: Side,
    pub(crate) program: PathBuf,
    /// For `suz run`.
    arguments: Vec<String>,
}

/// What a monitor starts.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) append: String,
    pub(crate) cpus: u32,
    /// In MiB.
    pub(crate) memory: u64,
}

impl Monitor {
    pub(crate) fn suz(program: PathBuf, arguments: &[String]) -> Self {
        Self {
            side: Side::Suz,
            program,
            arguments: arguments.to_vec(),
        }
    }

    pub(crate) fn qemu() -> Self {
        Self {
            side: Side::Qemu,
            program: "qemu-system-x86_64".into(),
            arguments: Vec::new(),
        }
    }

    pub(crate) fn has_qemu() -> bool {
        let mut command = Command::new("qemu-system-x86_64");
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// `suz run` by the software engine, unless the arguments choose another.
    pub(crate) fn suz_run(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("run");
        if !self
            .arguments
            .iter()
            .any(|argument| argument.starts_with("--engine"))
        {
            command.args(["--engine", "soft"]);
        }
        command.args(&self.arguments);
        command
    }
}

impl Guest {
    pub(crate) fn command(&self, monitor: &Monitor) -> Command {
        let mut command = match monitor.side {
            Side::Qemu => self.qemu(monitor),
            _ => self.suz(monitor),
        };
        command.stdin(Stdio::null());
        command
    }

    fn suz(&self, monitor: &Monitor) -> Command {
        let mut command = monitor.suz_run();
        command
            .args(["--memory", &format!("{}M", self.memory)])
            .args(["--cpus", &self.cpus.to_string()])
            .args(["--append", &self.append])
            .arg("--kernel")
            .arg(&self.kernel)
            .arg("--initrd")
            .arg(&self.initrd);
        command
    }

    fn qemu(&self, monitor: &Monitor) -> Command {
        let mut command = Command::new(&monitor.program);
        command
            .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
            .args([
                "-nographic",
                "-no-reboot",
                "-nodefaults",
                "-serial",
                "stdio",
            ])
            .args(["-m", &self.memory.to_string()])
            .args(["-smp", &self.cpus.to_string()])
            .args(["-append", &self.append])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd);
        command
    }
}
