//! Unix sockets by their paths, however long.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Bytes of a socket's address, with the zero at its end.
const ADDRESS: usize = 108;

/// Listens at `path`, for this user alone, in place of whoever did before. Nobody else may be about to do the same.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = with(path, |path| UnixListener::bind(path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to the socket at `path`.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    with(path, |path| UnixStream::connect(path))
}

/// Calls `what` with a path of the same file that fits an address.
fn with<T>(path: &Path, what: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() < ADDRESS {
        return what(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    let folder = File::open(folder)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    what(&short.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_be_longer_than_addresses() {
        let root = std::env::temp_dir().join(format!("suz-address-{}", std::process::id()));
        let folder = root.join("x".repeat(100)).join("y".repeat(100));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("control.sock");
        for _ in 0..2 {
            // The second time one is in the way.
            let listener = listen(&path).unwrap();
            connect(&path).unwrap();
            listener.accept().unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
