//! Initramfs archives in the cache.
//!
//! An archive appears by rename once its bytes are on the disk, so what has the name is whole even after a power
//! cut. It is never changed: other content has another name. Its time of change is that of its last use; what
//! nobody has used for days goes when another is written.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Cache, create, unique};
use crate::initramfs::END;
use crate::{Error, Initramfs};

/// An archive that was not used for so long is removed.
const UNUSED: Duration = Duration::from_secs(2 * 24 * 3600);

impl Cache {
    /// Writes an initramfs to the cache and returns the path; the same content is written once.
    ///
    /// # Errors
    /// [`Error::File`] where the cache cannot be written.
    pub fn initrd(&self, name: &str, initramfs: &Initramfs) -> Result<PathBuf, Error> {
        let bytes = initramfs.build();
        let path = self.archive(name, &bytes);
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            used(&path);
        } else {
            write(&path, &bytes)?;
        }
        Ok(path)
    }

    /// The initramfs that `build` makes of `inputs`, made once: a start pays for a look at its end alone.
    ///
    /// `inputs` must tell all that the archive depends on, or a stale one is returned.
    ///
    /// # Errors
    /// Those of `build`; [`Error::File`] where the cache cannot be written.
    pub(crate) fn initrd_of(
        &self,
        name: &str,
        inputs: &[u8],
        build: impl FnOnce() -> Result<Initramfs, Error>,
    ) -> Result<PathBuf, Error> {
        let path = self.archive(&format!("{name}-of"), inputs);
        if is_whole(&path) {
            used(&path);
        } else {
            write(&path, &build()?.build())?;
        }
        Ok(path)
    }

    fn archive(&self, name: &str, content: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        let file = format!("{name}-{:016x}.cpio", hasher.finish());
        self.root.join("initrd").join(file)
    }
}

/// Publishes an archive, complete and on the disk.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path
        .parent()
        .expect("archives have a folder below the cache");
    create(folder)?;
    let draft = folder.join(format!(".draft-{}", unique()));
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(Error::file("write", &draft))?;
    fs::rename(&draft, path).map_err(Error::file("create", path))?;
    sweep(folder);
    Ok(())
}

/// Notes a use. A cache that can't be written keeps no note of it, and removes nothing either.
fn used(path: &Path) {
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes what nobody has used for long, drafts of interrupted processes included.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        let age = changed.ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > UNUSED) {
            // Another process may be faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether the file ends as an archive does: somebody may have cut it.
fn is_whole(path: &Path) -> bool {
    let end = || {
        let mut file = File::open(path)?;
        let mut end = [0; END.len()];
        file.seek(SeekFrom::End(-(END.len() as i64)))?;
        file.read_exact(&mut end)?;
        Ok::<_, std::io::Error>(end)
    };
    end().is_ok_and(|end| end == END)
}
