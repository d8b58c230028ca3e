//! The kernel of the demonstration together with its modules.

use std::fs;

use super::Cache;
use crate::user_space::Driver;
use crate::{Error, Guest, Known};

impl Cache {
    /// Debian's kernel for clouds, and the drivers of virtio devices that fit it.
    ///
    /// # Errors
    /// Where a part has to be fetched and can't be.
    pub fn drivers(&self) -> Result<(Guest, Vec<Driver>), Error> {
        let (mut kernel, mut modules) = (
            self.ensure(Known::Cloud)?,
            self.ensure(Known::CloudModules)?,
        );
        if kernel.version != modules.version {
            // A kernel loads modules of its own version alone.
            kernel = self.refresh(Known::Cloud)?;
            modules = self.refresh(Known::CloudModules)?;
        }
        let driver = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let module = fs::read(path).map_err(Error::file("read", path))?;
            Ok((name.into_owned(), module))
        };
        let drivers = modules
            .files
            .iter()
            .map(driver)
            .collect::<Result<_, Error>>()?;
        Ok((kernel, drivers))
    }
}
