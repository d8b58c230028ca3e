//! The guest that `suz run` starts when it is told nothing.

use std::fs;
use std::path::PathBuf;

use super::Cache;
use crate::{Error, Known, user_space};

/// Debian's kernel with a small user space that ends in a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demonstration {
    /// The bzImage.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initrd: PathBuf,
    /// The kernel's command line: a console on the first serial port, and little talk before the prompt.
    pub command_line: &'static str,
}

impl Cache {
    /// The demonstration guest, whose parts are fetched at the first call.
    ///
    /// # Errors
    /// Where a part has to be fetched and can't be.
    pub fn demonstration(&self) -> Result<Demonstration, Error> {
        let kernel = self.ensure(Known::Cloud)?.path;
        let busybox = self.ensure(Known::Busybox)?;
        let bytes = || fs::read(&busybox.path).map_err(Error::file("read", &busybox.path));
        // Everything but the busybox is made here, so the same archive around the busybox's checksum tells all
        // inputs: a new version of either makes a new file.
        let initrd = match self.checksum(&busybox) {
            Some(sum) => {
                let inputs = user_space::demonstration(sum.as_bytes()).build();
                self.initrd_of("demonstration", &inputs, || {
                    Ok(user_space::demonstration(&bytes()?))
                })?
            }
            // Fetched anew this very moment.
            None => self.initrd("demonstration", &user_space::demonstration(&bytes()?))?,
        };
        Ok(Demonstration {
            kernel,
            initrd,
            command_line: "console=ttyS0 quiet",
        })
    }

    /// The demonstration guest with the drivers of virtio devices.
    ///
    /// # Errors
    /// Where a part has to be fetched and can't be.
    pub fn demonstration_with_drivers(&self) -> Result<Demonstration, Error> {
        let (kernel, drivers) = self.drivers()?;
        let busybox = self.ensure(Known::Busybox)?.path;
        let busybox = fs::read(&busybox).map_err(Error::file("read", &busybox))?;
        let initramfs = user_space::demonstration_with(&busybox, &drivers);
        Ok(Demonstration {
            kernel: kernel.path,
            initrd: self.initrd("demonstration-drivers", &initramfs)?,
            command_line: "console=ttyS0 quiet",
        })
    }
}
