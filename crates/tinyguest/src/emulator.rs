//! Second opinions: a guest on somebody else's machine.
//!
//! A guest that fails everywhere is wrong itself. QEMU's software CPU is fast and forgiving, Bochs is slow and
//! exact, KVM is the real CPU where the host gives it. All start from a 64 KiB ROM that puts the boot CPU into the
//! state that [`TinyGuest`] promises and jumps to the guest, which the emulator loaded.

mod bochs;
mod qemu;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use crate::{ENTRY, End, Error, RECORD, RECORD_BYTES, STACK, TinyGuest};

/// Somebody else's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulator {
    /// QEMU's translator.
    Qemu,
    /// QEMU on `/dev/kvm`.
    Kvm,
    /// Bochs.
    Bochs,
}

/// How a guest ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The end; nothing when it did not come in time.
    pub end: Option<End>,
    /// What differs from the header, or nothing.
    pub complaint: Option<String>,
    /// Memory from address 0 at the end, as far as it is known.
    pub low: Vec<u8>,
}

/// How long a guest may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The same for one that is known to fail, perhaps by waiting for ever.
const LITTLE_PATIENCE: Duration = Duration::from_secs(3);

impl Emulator {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Qemu, Self::Kvm, Self::Bochs];

    /// The name that headers use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Kvm => "kvm",
            Self::Bochs => "bochs",
        }
    }

    /// Why it can't run here, or nothing.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let (program, package) = match self {
            Self::Qemu | Self::Kvm => (qemu::PROGRAM, "qemu-system-x86"),
            Self::Bochs => (bochs::PROGRAM, "bochs and bochs-term"),
        };
        let started = Command::new(program)
            .arg("--help")
            .stdin(Stdio::null())
            .output();
        if let Err(error) = started {
            return Some(format!(
                "can't start {program} ({error}): install {package}"
            ));
        }
        let kvm = || {
            fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/kvm")
                .err()
        };
        (self == Self::Kvm)
            .then(kvm)
            .flatten()
            .map(|error| format!("can't open /dev/kvm: {error}"))
    }

    /// Runs a guest to its end.
    ///
    /// # Errors
    /// When the emulator can't be started or fails by itself.
    pub fn run(self, guest: &TinyGuest) -> Result<Outcome, Error> {
        let folder = Scratch::new()?;
        let rom = folder.write("rom", &rom())?;
        let binary = folder.write("guest", &guest.binary)?;
        let differs = guest
            .differs
            .iter()
            .any(|difference| difference.emulator == self.name());
        let run = Run {
            guest,
            folder: &folder,
            rom: &rom,
            binary: &binary,
            patience: if differs { LITTLE_PATIENCE } else { PATIENCE },
        };
        let (end, low) = match self {
            Self::Qemu => qemu::run("tcg", &run)?,
            Self::Kvm => qemu::run("kvm", &run)?,
            Self::Bochs => bochs::run(&run)?,
        };
        Ok(Outcome {
            end,
            complaint: complaint(guest, end, &low),
            low,
        })
    }
}

/// What an emulator gets.
struct Run<'a> {
    guest: &'a TinyGuest,
    folder: &'a Scratch,
    rom: &'a Path,
    binary: &'a Path,
    patience: Duration,
}

/// What memory from address 0 on, as far as it is known, and the end say against the header.
fn complaint(guest: &TinyGuest, end: Option<End>, low: &[u8]) -> Option<String> {
    let start = usize::try_from(RECORD).unwrap_or(usize::MAX);
    let record = low.get(start..start + RECORD_BYTES).unwrap_or_default();
    let Some(end) = end else {
        return Some("did not end in time".to_owned());
    };
    if end != guest.expect.end {
        return Some(guest.explain(end, record));
    }
    for (&address, &expected) in &guest.expect.memory {
        let offset = usize::try_from(address).unwrap_or(usize::MAX);
        let word = low
            .get(offset..)
            .and_then(|bytes| bytes.first_chunk())
            .map(|bytes| u64::from_le_bytes(*bytes));
        match word {
            Some(found) if found == expected => {}
            Some(found) => {
                return Some(format!(
                    "mem[{address:#x}] is {found:#x}, expected {expected:#x}"
                ));
            }
            None => return Some(format!("mem[{address:#x}] can't be read here")),
        }
    }
    None
}

/// The ROM: at the reset vector a jump to code that clears what a reset leaves in registers, and at a second
/// reset tells Bochs to stop.
fn rom() -> Vec<u8> {
    const CODE: usize = 0xff00;
    let code = [
        &[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0][..], // xor ax, ax; mov ds, es, ss = ax
        &[0x81, 0x3e, 0xf0, 0x04, 0x5a, 0xa5],                 // cmp word ptr [0x4f0], 0xa55a
        &[0x74, 0x17],                                         // je again
        &[0xc7, 0x06, 0xf0, 0x04, 0x5a, 0xa5],                 // mov word ptr [0x4f0], 0xa55a
        &[0x66, 0x31, 0xc0],                                   // xor eax, eax
        &[0x66, 0x31, 0xd2],                                   // xor edx, edx
        &[0xbc, STACK.to_le_bytes()[0], STACK.to_le_bytes()[1]], // mov sp, STACK
        &[0xea, ENTRY.to_le_bytes()[0], ENTRY.to_le_bytes()[1], 0, 0], // jmp 0:ENTRY
        &[0x90, 0x90, 0x90],                                   // nop
        &[0xba, 0x00, 0x89],                                   // again: mov dx, 0x8900
        &[0xbe, 0x35, 0xff],                                   // mov si, offset text
        &[0xb9, 0x08, 0x00],                                   // mov cx, 8
        &[0xfc, 0x2e, 0xf3, 0x6e],                             // cld; rep outs dx, byte ptr cs:[si]
        &[0xf4],                                               // hlt
        b"Shutdown",
    ]
    .concat();
    let mut rom = vec![0xf4; 0x1_0000];
    rom[CODE..CODE + code.len()].copy_from_slice(&code);
    rom[0xfff0..0xfff3].copy_from_slice(&[0xe9, 0x0d, 0xff]); // jmp CODE
    rom
}

/// A folder that goes when the run is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Error> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tinyguest-{}-{serial}", std::process::id()));
        fs::create_dir_all(&path).map_err(|source| Error::write(&path, source))?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        let path = self.path(name);
        fs::write(&path, content).map_err(|source| Error::write(&path, source))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // nothing depends on it
    }
}

/// Runs to the end, or kills the program when patience is over; then there is no output.
fn finish(
    command: &mut Command,
    package: &'static str,
    patience: Duration,
) -> Result<Option<Output>, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Missing {
            program,
            package,
            source,
        })?;
    let over = wait(&mut child, patience)
        .map_err(|source| Error::read(Path::new("the emulator's status"), source))?;
    if !over {
        let _ = child.kill(); // it may have ended just now
        let _ = child.wait();
        return Ok(None);
    }
    child
        .wait_with_output()
        .map(Some)
        .map_err(|source| Error::read(Path::new("the emulator's output"), source))
}

fn wait(child: &mut Child, patience: Duration) -> io::Result<bool> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(false)
}
