//! From an assembly file to a flat binary, by `as`, `ld` and `objcopy`, kept by content in the target folder.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use crate::Error;

pub(crate) struct Assembler {
    include: PathBuf,
    cache: PathBuf,
    /// Everything that shapes a binary besides its own file.
    seed: DefaultHasher,
}

pub(crate) struct Built {
    pub(crate) binary: Vec<u8>,
    pub(crate) elf: PathBuf,
}

impl Assembler {
    pub(crate) fn new(folder: &Path) -> Result<Self, Error> {
        let include = folder.join("include");
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| crate::root().join("target"), PathBuf::from);
        let cache = target.join("tiny-guests");
        fs::create_dir_all(&cache).map_err(|source| Error::write(&cache, source))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&include).map_err(|source| Error::read(&include, source))? {
            files.push(
                entry
                    .map_err(|source| Error::read(&include, source))?
                    .path(),
            );
        }
        files.sort();
        let mut seed = DefaultHasher::new();
        include.hash(&mut seed); // the line numbers hold paths
        for path in files {
            path.hash(&mut seed);
            fs::read(&path)
                .map_err(|source| Error::read(&path, source))?
                .hash(&mut seed);
        }
        Ok(Self {
            include,
            cache,
            seed,
        })
    }

    pub(crate) fn build(&self, name: &str, source: &Path, text: &str) -> Result<Built, Error> {
        let mut hasher = self.seed.clone();
        text.hash(&mut hasher);
        let stem = format!("{name}-{:016x}", hasher.finish());
        let (elf, flat) = (
            self.cache.join(format!("{stem}.elf")),
            self.cache.join(format!("{stem}.bin")),
        );
        if !elf.exists() || !flat.exists() {
            self.assemble(source, &elf, &flat)?;
        }
        let binary = fs::read(&flat).map_err(|error| Error::read(&flat, error))?;
        Ok(Built { binary, elf })
    }

    /// Works under names of its own and renames at the end: several test programs may do this at once.
    fn assemble(&self, source: &Path, elf: &Path, flat: &Path) -> Result<(), Error> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let work = |suffix| {
            self.cache
                .join(format!("{}-{serial}.{suffix}", std::process::id()))
        };
        let (object, linked, copied) = (work("o"), work("elf"), work("bin"));
        let script = self.include.join("link.ld");
        let ran = run(
            source,
            "as",
            ["-g", "--64", "-I"],
            [&self.include, Path::new("-o"), &object, source],
        )
        .and_then(|()| {
            run(
                source,
                "ld",
                ["-nostdlib", "--build-id=none", "-T"],
                [&script, Path::new("-o"), &linked, &object],
            )
        })
        .and_then(|()| run(source, "objcopy", ["-O", "binary"], [&linked, &copied]));
        let done = ran.and_then(|()| {
            fs::rename(&copied, flat).map_err(|error| Error::write(flat, error))?;
            fs::rename(&linked, elf).map_err(|error| Error::write(elf, error))
        });
        for left in [&object, &linked, &copied] {
            let _ = fs::remove_file(left); // it is gone already where all went well
        }
        done
    }
}

fn run<const N: usize, const M: usize>(
    source: &Path,
    program: &str,
    options: [&str; N],
    paths: [&Path; M],
) -> Result<(), Error> {
    let output = Command::new(program)
        .args(options)
        .args(paths.map(AsRef::<OsStr>::as_ref))
        .output()
        .map_err(|error| Error::Missing {
            program: program.to_owned(),
            package: "binutils",
            source: error,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Refused {
        program: program.to_owned(),
        path: source.to_path_buf(),
        message: String::from_utf8_lossy(&output.stderr)
            .lines()
            .take(10)
            .collect::<Vec<_>>()
            .join("\n"),
    })
}
