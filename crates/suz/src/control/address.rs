//! The control socket's place in the file system.

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use host::socket;
use rustix::fs::{Mode, fchmod};

/// Clients that wait for being accepted.
const BACKLOG: i32 = 128;

/// Listens at `path`, for this user alone, in place of whoever did before. Nobody else may be about to do the same.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = socket::stream(true)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket::bind(&socket, path)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Connects to the socket at `path`.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = socket::stream(true)?;
    socket::connect(&stream, path)?;
    Ok(stream.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
