//! What a guest has printed, as a file: the newest part, of bounded length.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes after which the file becomes the old one, and a new one begins.
const LENGTH: u64 = 4 << 20;

/// A file that is appended to.
pub(super) struct Log {
    path: PathBuf,
    open: Option<(File, u64)>,
}

impl Log {
    /// The file at `path`, which need not exist. What can't be written down is lost, and said once.
    pub(super) fn new(path: &Path) -> Self {
        let mut log = Self {
            path: path.to_owned(),
            open: None,
        };
        let opened = open(path);
        log.open = log.noted(opened);
        log
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        let Some((mut file, length)) = self.open.take() else {
            return;
        };
        let written = file.write_all(bytes).map(|()| {
            let length = length + bytes.len() as u64;
            (file, length)
        });
        let written = match written {
            Ok((_, length)) if length >= LENGTH => rotate(&self.path),
            written => written,
        };
        self.open = self.noted(written);
    }

    fn noted<T>(&self, result: io::Result<T>) -> Option<T> {
        let note = |error: &io::Error| {
            let file = self.path.display();
            tracing::warn!(%error, %file, "the console is not written down any more");
        };
        result.inspect_err(note).ok()
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = File::options();
    let file = options.append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Makes the file the old one, in place of the one that was.
fn rotate(path: &Path) -> io::Result<(File, u64)> {
    let mut old = path.as_os_str().to_owned();
    old.push(".1");
    fs::rename(path, old)?;
    open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_hold_the_newest_part() {
        let folder = std::env::temp_dir().join(format!("backend-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("console.log");
        for round in 0..3_u8 {
            // As one process after the other writes it.
            let mut log = Log::new(&path);
            for _ in 0..LENGTH >> 16 {
                log.append(&[round; 1 << 16]);
            }
            log.append(b"more");
        }
        let old = fs::read(folder.join("console.log.1")).unwrap();
        assert_eq!(old.len() as u64, 4 + LENGTH);
        let (start, end) = (&old[..4], old[old.len() - 1]);
        assert_eq!((start, old[4], end), (&b"more"[..], 2, 2));
        assert_eq!(fs::read(&path).unwrap(), b"more");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_log_that_cant_be_written_harms_nothing() {
        let mut log = Log::new(Path::new("/dev/full"));
        log.append(b"lost");
        log.append(b"lost");
        Log::new(Path::new("/nonexistent/console.log")).append(b"lost");
    }
}
