//! A disk that has no name until it is complete.

use std::fs::{File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

use crate::Error;

/// An open file, of whatever name.
#[derive(Debug)]
pub(super) struct NewDisk {
    file: File,
    /// Where the file system knows no files without a name.
    named: Option<PathBuf>,
}

impl NewDisk {
    /// Makes a sparse file in a folder that is nobody else's.
    pub(super) fn create(folder: &Path, size: u64) -> Result<Self, Error> {
        // The root of a user namespace that writes it is nobody here, so everybody may. Nobody else gets at it.
        let mode = 0o666;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let path = folder.join("draft");
        let disk = match open(folder, flags, Mode::from_raw_mode(mode)) {
            Ok(fd) => Self {
                file: fd.into(),
                named: None,
            },
            Err(_) => {
                let mut options = File::options();
                options.read(true).write(true).create_new(true).mode(mode);
                Self {
                    file: options.open(&path).map_err(Error::file("create", &path))?,
                    named: Some(path.clone()),
                }
            }
        };
        let made = disk.file.set_permissions(Permissions::from_mode(mode));
        let made = made.and_then(|()| disk.file.set_len(size));
        made.map_err(Error::file("create", &path))?;
        Ok(disk)
    }

    /// Where other processes of this user find it.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Gives it a name. Nobody writes it any more.
    pub(super) fn publish(self, path: &Path) -> Result<(), Error> {
        let failed = || Error::file("create", path);
        let read_only = Permissions::from_mode(0o644);
        self.file.set_permissions(read_only).map_err(failed())?;
        self.file.sync_all().map_err(failed())?;
        match &self.named {
            Some(draft) => std::fs::rename(draft, path).map_err(failed()),
            None => {
                let linked = linkat(CWD, self.path(), CWD, path, AtFlags::SYMLINK_FOLLOW);
                linked.map_err(|errno| failed()(errno.into()))
            }
        }
    }
}
