//! Unix sockets by their paths, however long. An address holds 107 bytes, a path up to 4096.
//!
//! A longer path goes by a descriptor: a socket that is there by its own, a new one by that of its folder, under a
//! short name that is changed once the socket is bound.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, open, renameat_with, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

/// Most bytes of an address.
const ADDRESS: usize = 107;

/// A stream socket without a name that programs started by this one don't get.
///
/// # Errors
/// When the host has no descriptors left.
pub fn stream(is_blocking: bool) -> io::Result<OwnedFd> {
    let mut flags = SocketFlags::CLOEXEC;
    if !is_blocking {
        flags |= SocketFlags::NONBLOCK;
    }
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(socket)
}

/// Gives a socket a name in the file system.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when something of that name is there.
pub fn bind(socket: impl AsFd, path: &Path) -> io::Result<()> {
    if fits(path) {
        return Ok(rustix::net::bind(socket, &SocketAddrUnix::new(path)?)?);
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = folder(path)?;
    let by_folder = |name: &OsStr| by_descriptor(&folder).join(name);
    if fits(&by_folder(name)) {
        let address = SocketAddrUnix::new(by_folder(name))?;
        return Ok(rustix::net::bind(socket, &address)?);
    }
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let short = format!(".socket-{}-{next}", std::process::id());
    let address = SocketAddrUnix::new(by_folder(short.as_ref()))?;
    rustix::net::bind(socket, &address)?;
    let renamed = renameat_with(&folder, &*short, &folder, name, RenameFlags::NOREPLACE);
    renamed.map_err(|error| {
        let _ = unlinkat(&folder, &*short, AtFlags::empty());
        match error {
            Errno::EXIST => Errno::ADDRINUSE.into(),
            error => error.into(),
        }
    })
}

/// Connects a socket to the one at `path`.
///
/// # Errors
/// As `connect` does: when nobody listens there, above all.
pub fn connect(socket: impl AsFd, path: &Path) -> io::Result<()> {
    let connect = |path: &Path| {
        let address = SocketAddrUnix::new(path)?;
        Ok(rustix::net::connect(&socket, &address)?)
    };
    if fits(path) {
        return connect(path);
    }
    let there = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    connect(&by_descriptor(&there))
}

fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= ADDRESS
}

/// The folder that a path is in, as a descriptor.
///
/// # Errors
/// When it is not there, or closed to this user.
pub fn folder(path: &Path) -> io::Result<OwnedFd> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(folder, flags, Mode::empty())?)
}

fn by_descriptor(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Binds to a path, is connected to there, and finds it in use.
    fn works(path: &Path) {
        let listener = stream(true).unwrap();
        bind(&listener, path).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        connect(stream(true).unwrap(), path).unwrap();
        UnixListener::from(listener).accept().unwrap();
        let error = bind(stream(true).unwrap(), path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let error = connect(stream(true).unwrap(), path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        fs::remove_file(path).unwrap();
        let error = connect(stream(true).unwrap(), path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn paths_and_names_may_be_longer_than_addresses() {
        let root = std::env::temp_dir().join(format!("suz-socket-{}", std::process::id()));
        let deep = (0..12).fold(root.clone(), |path, _| path.join("x".repeat(200)));
        fs::create_dir_all(&deep).unwrap();
        for folder in [&root, &deep] {
            works(&folder.join("s"));
            works(&folder.join("n".repeat(255)));
            assert_eq!(fs::read_dir(&deep).unwrap().count(), 0, "nothing is left");
        }
        let error = bind(stream(true).unwrap(), &root.join("none/s")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        fs::remove_dir_all(&root).unwrap();
    }
}
