//! A guest under `suz run`, talked to over its serial console.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use image::{Cache, Initramfs, Known, user_space};

/// How long an expected text may take before the guest counts as hung: a whole pass of memtest86+ takes minutes on
/// a loaded machine of two cores.
const PATIENCE: Duration = Duration::from_secs(900);

/// What `suz run` is given.
pub(crate) struct Spec {
    kernel: PathBuf,
    arguments: Vec<String>,
}

impl Spec {
    pub(crate) fn new(kernel: &Path) -> Self {
        Self {
            kernel: kernel.to_owned(),
            arguments: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, option: &str, value: impl AsRef<str>) -> Self {
        self.arguments.push(option.to_owned());
        self.arguments.push(value.as_ref().to_owned());
        self
    }

    pub(crate) fn start(&self) -> Guest {
        self.start_by(&[])
    }

    /// A guest that starts again when it resets itself: for others that is the end.
    pub(crate) fn start_rebooting(&self) -> Guest {
        Guest::start(self.command(suz(&[])))
    }

    fn command(&self, mut command: Command) -> Command {
        command
            .arg("--kernel")
            .arg(&self.kernel)
            .args(&self.arguments);
        command
    }

    /// Starts it by another program, which is given the command line.
    pub(crate) fn start_by(&self, starter: &[&str]) -> Guest {
        let mut command = self.command(suz(starter));
        command.arg("--no-reboot");
        Guest::start(command)
    }
}

/// The demonstration guest: `suz run` told nothing.
pub(crate) fn demonstration() -> Guest {
    Guest::start(suz(&[]))
}

/// `suz run` on the software engine, started by another program if one is given.
fn suz(starter: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_suz");
    let mut command = match starter.split_first() {
        Some((starter, arguments)) => {
            let mut command = Command::new(starter);
            command.args(arguments).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(["run", "--engine", "soft"]);
    command
}

/// A running guest.
pub(crate) struct Guest {
    child: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    transcript: Vec<u8>,
    /// How much of the transcript earlier expectations used up.
    seen: usize,
}

impl Guest {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("suz starts");
        let input = child.stdin.take().expect("input is piped");
        let (sender, output) = channel();
        for mut stream in [
            Box::new(child.stdout.take().expect("output is piped")) as Box<dyn Read + Send>,
            Box::new(child.stderr.take().expect("errors are piped")),
        ] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    if sender.send(bytes[..count].to_vec()).is_err() {
                        return;
                    }
                }
            });
        }
        Self {
            child,
            input,
            output,
            transcript: Vec::new(),
            seen: 0,
        }
    }

    /// Waits until the guest has said `text`, and returns what it said before since the last expectation.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let fresh = &self.transcript[self.seen..];
            let found = fresh
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            if let Some(at) = found {
                let before = String::from_utf8_lossy(&fresh[..at]).into_owned();
                self.seen += at + text.len();
                return before;
            }
            match self
                .output
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => self.transcript.extend(bytes),
                Err(RecvTimeoutError::Timeout) => {
                    self.fail(&format!("the guest did not say {text:?} in time"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.fail(&format!("the guest ended without saying {text:?}"))
                }
            }
        }
    }

    /// Types.
    pub(crate) fn send(&mut self, text: &str) {
        self.input
            .write_all(text.as_bytes())
            .and_then(|()| self.input.flush())
            .expect("the guest takes input");
    }

    /// Waits for the end and returns the exit status.
    pub(crate) fn finish(mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .output
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => self.transcript.extend(bytes),
                Err(RecvTimeoutError::Timeout) => self.fail("the guest did not end in time"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().expect("suz is our child");
        status
            .code()
            .unwrap_or_else(|| self.fail(&format!("suz was killed: {status}")))
    }

    /// Fails when the monitor takes a quarter of a processor for two seconds in which nobody wants anything.
    pub(crate) fn must_be_idle(&self) {
        let before = self.processor_time();
        std::thread::sleep(Duration::from_secs(2));
        let spent = self.processor_time() - before;
        assert!(
            spent < Duration::from_millis(500),
            "{spent:?} in two idle seconds"
        );
    }

    /// The processor time that the monitor has used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .expect("suz is running");
        let fields: Vec<&str> = stat
            .rsplit(") ")
            .next()
            .expect("a name in brackets")
            .split(' ')
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        // USER_HZ is 100 on every Linux on x86.
        Duration::from_millis(ticks * 10)
    }

    fn fail(&self, reason: &str) -> ! {
        let transcript = String::from_utf8_lossy(&self.transcript);
        panic!("{reason}; it said:\n{transcript}");
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A guest out of the cache, fetched when it is not there; `None`, said aloud, when it can't be had.
pub(crate) fn known(known: Known) -> Option<image::Guest> {
    let cache = Cache::open().expect("a folder for the cache");
    match cache.ensure(known) {
        Ok(guest) => Some(guest),
        Err(error) if !known.is_required() => {
            println!("SKIPPED {}: {error}", known.name());
            None
        }
        Err(error) => panic!("{} is needed: {error}", known.name()),
    }
}

/// An initramfs of busybox that runs `script` and powers off; its path.
pub(crate) fn initramfs(
    name: &str,
    busybox: Known,
    script: &str,
    extra: impl FnOnce(Initramfs) -> Initramfs,
) -> PathBuf {
    let cache = Cache::open().expect("a folder for the cache");
    let path = cache.ensure(busybox).expect("busybox can be had").path;
    let busybox = std::fs::read(path).expect("the cache is readable");
    let initramfs = extra(user_space::script(&busybox, script));
    cache
        .initrd(name, &initramfs)
        .expect("the cache is writable")
}
