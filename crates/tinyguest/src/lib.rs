//! The tiny guests of `tests/guests`: found, read and assembled, for the tests of every engine.
//!
//! A guest is one assembly file. Its header states what it needs and how it must end; `tests/guests/README.md`
//! has the format and the contract with the machine. This crate knows no engine: it turns each file into a
//! [`TinyGuest`] (a flat binary and an [`Expect`]), and explains a failure from what the guest left in memory.
//! [`emulator`] runs guests on other people's machines, to learn whether a guest is right.
//!
//! ```no_run
//! for guest in tinyguest::all()? {
//!     println!("{}: {} bytes at {:#x}", guest.name, guest.binary.len(), guest.load);
//! }
//! # Ok::<(), tinyguest::Error>(())
//! ```

mod assemble;
pub mod emulator;
mod error;
mod failure;
mod header;

use std::path::{Path, PathBuf};

pub use error::Error;
pub use failure::{RECORD, RECORD_BYTES};
pub use header::{Difference, End, Expect};

/// Where every guest is loaded and entered: CS:IP = 0000:8000.
pub const ENTRY: u64 = 0x8000;

/// The stack pointer at the entry, with SS = 0.
pub const STACK: u64 = 0x7000;

/// One assembled guest and what its header says.
///
/// The boot CPU starts at `entry` in 16-bit real mode with CS = DS = ES = SS = 0 (base 0), SP = [`STACK`], the
/// other general registers zero and the rest as after a reset. The other CPUs wait for a startup IPI.
#[derive(Debug, Clone)]
pub struct TinyGuest {
    /// The file's name without `.S`.
    pub name: String,
    /// The prose of the header, one line.
    pub summary: String,
    /// The assembly file.
    pub source: PathBuf,
    /// What is loaded.
    pub binary: Vec<u8>,
    /// The guest-physical address of the binary's first byte.
    pub load: u64,
    /// Where the boot CPU starts.
    pub entry: u64,
    /// Number of CPUs.
    pub cpus: u32,
    /// RAM from address 0, in bytes.
    pub memory: u64,
    /// How it ends.
    pub expect: Expect,
    /// Emulators that are known to answer otherwise.
    pub differs: Vec<Difference>,
    /// The linked file, with symbols and line numbers, for debuggers.
    pub elf: PathBuf,
}

/// All guests, sorted by name.
///
/// # Errors
/// When the folder can't be read, a header is malformed, or `as`, `ld` or `objcopy` is missing or refuses a file.
pub fn all() -> Result<Vec<TinyGuest>, Error> {
    let folder = folder();
    let mut sources = Vec::new();
    let entries = std::fs::read_dir(&folder).map_err(|source| Error::read(&folder, source))?;
    for entry in entries {
        let path = entry.map_err(|source| Error::read(&folder, source))?.path();
        if path.extension().is_some_and(|extension| extension == "S") {
            sources.push(path);
        }
    }
    sources.sort();
    let assembler = assemble::Assembler::new(&folder)?;
    sources
        .iter()
        .map(|source| TinyGuest::load(&assembler, source))
        .collect()
}

impl TinyGuest {
    fn load(assembler: &assemble::Assembler, source: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(source).map_err(|error| Error::read(source, error))?;
        let header = header::Header::parse(&text).map_err(|(line, what)| Error::Header {
            path: source.to_path_buf(),
            line,
            what,
        })?;
        let name = source
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let built = assembler.build(&name, source, &text)?;
        Ok(Self {
            name,
            summary: header.summary,
            source: source.to_path_buf(),
            binary: built.binary,
            load: ENTRY,
            entry: ENTRY,
            cpus: header.cpus,
            memory: header.memory,
            expect: header.expect,
            differs: header.differs,
            elf: built.elf,
        })
    }
}

/// The repository's folder of guests.
fn folder() -> PathBuf {
    root().join("tests/guests")
}

fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}
