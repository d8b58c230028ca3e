//! The guest that `suz run` starts when it is told nothing.

use std::fs;
use std::path::PathBuf;

use super::Cache;
use crate::{Error, Initramfs, Known, user_space};

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
        Ok(Demonstration {
            kernel: self.ensure(Known::Cloud)?.path,
            initrd: self.around_busybox("demonstration", &user_space::demonstration)?,
            command_line: "console=ttyS0 quiet",
        })
    }

    /// The demonstration guest with the drivers of virtio devices.
    ///
    /// # Errors
    /// Where a part has to be fetched and can't be.
    pub fn demonstration_with_drivers(&self) -> Result<Demonstration, Error> {
        let (kernel, drivers) = self.drivers()?;
        let make = |busybox: &[u8]| user_space::demonstration_with(busybox, &drivers);
        Ok(Demonstration {
            kernel: kernel.path,
            initrd: self.around_busybox("demonstration-drivers", &make)?,
            command_line: "console=ttyS0 quiet",
        })
    }

    /// The initramfs that `make` makes around the busybox, made once.
    fn around_busybox(
        &self,
        name: &str,
        make: &dyn Fn(&[u8]) -> Initramfs,
    ) -> Result<PathBuf, Error> {
        let busybox = self.ensure(Known::Busybox)?;
        let bytes = || fs::read(&busybox.path).map_err(Error::file("read", &busybox.path));
        match self.checksum(&busybox) {
            // The same archive around the busybox's checksum tells all inputs: whatever changes makes a new file.
            Some(sum) => {
                let inputs = make(sum.as_bytes()).build();
                self.initrd_of(name, &inputs, || Ok(make(&bytes()?)))
            }
            // Fetched anew this very moment.
            None => self.initrd(name, &make(&bytes()?)),
        }
    }
}
