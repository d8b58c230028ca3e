//! What the tests of the program share: running it, and kernels of a few bytes.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// No step of a test takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder for one test, removed with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("suz-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A flat Multiboot kernel that executes `code` in protected mode.
pub(crate) fn kernel(code: &[u8]) -> Vec<u8> {
    const AT: u32 = 0x10_0000;
    let flags = 1_u32 << 16;
    let magic = 0x1bad_b002_u32;
    let end = AT + 32 + code.len() as u32;
    let checksum = 0_u32.wrapping_sub(magic).wrapping_sub(flags);
    let header = [magic, flags, checksum, AT, AT, end, end + 4096, AT + 32];
    let mut file: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    file.extend_from_slice(code);
    file
}

/// Does nothing, for ever: `jmp .`
pub(crate) const SPIN: &[u8] = &[0xeb, 0xfe];

/// Prints 'x' on the first serial port for ever.
pub(crate) const CHATTER: &[u8] = &[
    0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xb0, b'x', // mov al, 'x'
    0xee, // out dx, al
    0xeb, 0xfd, // jmp to the out
];

/// Prints '!' and then echoes what it receives.
pub(crate) const ECHO: &[u8] = &[
    0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xb0, b'!', // mov al, '!'
    0xee, // out dx, al
    0x66, 0xba, 0xfd, 0x03, // wait: mov dx, 0x3fd
    0xec, // in al, dx
    0xa8, 0x01, // test al, 1
    0x74, 0xf7, // jz wait
    0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xec, // in al, dx
    0xee, // out dx, al
    0xeb, 0xef, // jmp wait
];

/// Writes a value to the debug-exit port.
pub(crate) fn debug_exit(value: u8) -> Vec<u8> {
    vec![0xb0, value, 0xe6, 0xf4, 0xeb, 0xfe]
}

/// `ud2`, without an interrupt table: a triple fault.
pub(crate) const DIE: &[u8] = &[0x0f, 0x0b];

/// The program, built with the tests.
pub(crate) fn suz() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_suz"));
    command.env_remove("SUZ_LOG").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The program about to run this kernel.
pub(crate) fn run(kernel: &Path) -> Command {
    let mut command = suz();
    command
        .args(["run", "--engine", "soft", "--memory", "16M", "--kernel"])
        .arg(kernel);
    command
}

/// What the program did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Runs the program to its end.
pub(crate) fn finish(command: &mut Command) -> Done {
    wait(command.spawn().unwrap())
}

/// Waits for the program's end.
pub(crate) fn wait(mut child: Child) -> Done {
    drop(child.stdin.take());
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let status = wait_status(&mut child);
    Done {
        status,
        stdout: stdout
            .map(|thread| thread.join().unwrap())
            .unwrap_or_default(),
        stderr: stderr
            .map(|thread| String::from_utf8(thread.join().unwrap()).unwrap())
            .unwrap_or_default(),
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// The exit status; a program that does not end fails the test and is ended.
pub(crate) fn wait_status(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("the program did not end");
}

/// Sends a signal to the program.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Reads until `wanted` arrived, or fails after some time.
pub(crate) fn expect(from: &mut (impl Read + AsFd), wanted: &[u8]) {
    let mut seen = Vec::new();
    let mut byte = [0];
    let limit = Timespec::try_from(PATIENCE).unwrap();
    while !seen.windows(wanted.len()).any(|part| part == wanted) {
        let ready = poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&limit)).unwrap();
        match (ready > 0).then(|| from.read(&mut byte)) {
            Some(Ok(1)) => seen.push(byte[0]),
            end => panic!("{end:?} after {:?}", String::from_utf8_lossy(&seen)),
        }
    }
}

/// Writes all of it.
pub(crate) fn send(to: &mut impl Write, bytes: &[u8]) {
    to.write_all(bytes).unwrap();
    to.flush().unwrap();
}
