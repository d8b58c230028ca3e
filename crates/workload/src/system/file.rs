//! Files in a tmpfs.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Task;

/// Creates a file, writes a line, closes and removes it.
pub(crate) fn prepare() -> Task {
    let folder = tmpfs().join(format!("workload-{}", std::process::id()));
    if let Err(error) = fs::create_dir_all(&folder) {
        return Task::Missing(format!("{}: {error}", folder.display()));
    }
    let guard = Folder(folder);
    Task::Timed(Box::new(move |n| {
        for i in 0..n {
            let path = guard.0.join(format!("file-{}", i % 16));
            let mut file = File::create(&path).expect("a tmpfs takes a file");
            file.write_all(b"one line\n").expect("a tmpfs takes a line");
            drop(file);
            fs::remove_file(&path).expect("the file is there");
        }
    }))
}

/// Where the bare host has a tmpfs; a guest has one at `/tmp`.
fn tmpfs() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        shared.to_owned()
    } else {
        std::env::temp_dir()
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind lies in memory until the next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}
