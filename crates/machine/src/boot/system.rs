//! What a machine starts: a kernel with its initial RAM disk and its command line, from the host or off a disk.

use super::{Entry, Initrd, Kernel, Request, Target, disk};
use crate::Error;
use crate::peripheral::FirstDisk;
use crate::spec::Boot;

/// Ready to be loaded.
#[derive(Debug)]
pub(crate) struct System {
    kernel: Kernel,
    initrd: Option<Initrd>,
    append: String,
}

impl System {
    /// What the spec names; else what is found on the machine's first disk.
    pub(crate) fn open(boot: &Boot, disk: Option<&FirstDisk>) -> Result<Self, Error> {
        let Some(kernel) = &boot.kernel else {
            let disk = disk.ok_or(Error::NothingToStart)?;
            let found = disk::find(&disk.image, disk.device)?;
            return Ok(Self {
                kernel: Kernel::new(found.kernel)?,
                initrd: found.initrd.map(Initrd::blob),
                append: format!("{} {}", found.append, boot.append)
                    .trim()
                    .to_owned(),
            });
        };
        Ok(Self {
            kernel: Kernel::open(kernel)?,
            initrd: boot.initrd.as_deref().map(Initrd::file),
            append: boot.append.clone(),
        })
    }

    /// What the machine starts after a reset, this having been started before. Everything is read anew, so that what
    /// was replaced meanwhile counts; but for a kernel that came out of a pipe, or is gone.
    pub(crate) fn again(self, boot: &Boot, disk: Option<&FirstDisk>) -> Result<Self, Error> {
        let is_there = |path: &std::path::PathBuf| path.is_file();
        if boot.kernel.as_ref().is_none_or(is_there) {
            return Self::open(boot, disk);
        }
        Ok(self)
    }

    /// Loads it.
    pub(crate) fn load(&self, target: &Target) -> Result<Entry, Error> {
        let (kernel, protocol) = (self.kernel.blob.path().display(), self.kernel.protocol());
        tracing::info!(%kernel, protocol, append = self.append, "loading");
        let request = Request {
            initrd: self.initrd.as_ref(),
            append: &self.append,
        };
        self.kernel.load(&request, target)
    }
}
