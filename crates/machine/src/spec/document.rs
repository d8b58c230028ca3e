//! The description as a TOML file.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Device, Port, Spec};
use crate::Error;

/// No description is longer, in bytes.
const LONGEST: u64 = 1 << 20;

impl Spec {
    /// Reads a description from a file. Relative paths in it are relative to the file's folder.
    ///
    /// # Errors
    /// When the file can't be read, or doesn't describe a machine: in one line, with the place.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = File::open(path).map_err(failed)?;
        file.take(LONGEST)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let mut spec = Self::from_toml(&text).map_err(|problem| Error::Document {
            path: path.to_owned(),
            problem,
        })?;
        let path = std::path::absolute(path).map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        spec.resolve(folder);
        spec.place_ports(folder);
        Ok(spec)
    }

    /// The description in a TOML text.
    ///
    /// # Errors
    /// One line: what is wrong, and in which line of the text.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let message = error.message().trim().replace('\n', ", ");
            let Some(span) = error.span() else {
                return message;
            };
            let before = text.bytes().take(span.start);
            let line = 1 + before.filter(|&byte| byte == b'\n').count();
            format!("line {line}: {message}")
        })
    }

    /// The description as a TOML text, which [`Spec::from_toml`] reads.
    ///
    /// # Errors
    /// When a path is no UTF-8, which TOML is.
    pub fn to_toml(&self) -> io::Result<String> {
        toml::to_string(self).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Puts `folder` before every relative path.
    pub fn resolve(&mut self, folder: &Path) {
        let join = |path: &mut PathBuf| *path = folder.join(&*path);
        self.boot.kernel.iter_mut().for_each(join);
        if let Some(initrd) = &mut self.boot.initrd {
            *initrd = resolve_initrd(initrd, folder);
        }
        for device in &mut self.devices {
            match device {
                Device::Disk(disk) => join(&mut disk.path),
                Device::Net(net) => net.pcap.iter_mut().for_each(join),
                Device::Vsock(vsock) => join(&mut vsock.socket),
                Device::Share(share) => join(&mut share.path),
                Device::Port(port) => port.socket.iter_mut().for_each(join),
                Device::Rng | Device::Balloon => {}
            }
        }
    }
}

impl Spec {
    /// Puts the sockets of ports that have none into a folder.
    fn place_ports(&mut self, folder: &Path) {
        for device in &mut self.devices {
            if let Device::Port(Port { name, socket }) = device {
                socket.get_or_insert_with(|| folder.join(format!("{name}.port")));
            }
        }
    }
}

/// An initrd, or a list of modules of which each begins with a path.
fn resolve_initrd(initrd: &Path, folder: &Path) -> PathBuf {
    let whole = folder.join(initrd);
    let Some(list) = initrd.to_str().filter(|_| !whole.exists()) else {
        return whole;
    };
    let mut resolved = OsString::new();
    // A doubled comma is one that belongs to the text.
    for (index, module) in list.replace(",,", "\0").split(',').enumerate() {
        if index > 0 {
            resolved.push(",");
        }
        resolved.push(folder.join(module.replace('\0', ",,")));
    }
    resolved.into()
}

#[cfg(test)]
mod tests;
