use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::Share;
use super::message::opcode;
use super::node::ROOT;

mod client;
mod escape;
mod list;
mod lock;

use client::{BADF, Client, EXIST, ROFS, join, libc_flags, long_at, longs, words};

#[test]
fn files_are_read_written_renamed_and_removed() {
    let mut client = Client::new(false);
    let answer = client
        .ask(opcode::INIT, 0, &words(&[7, 38, 1 << 17, u32::MAX]))
        .unwrap();
    assert_eq!(answer.len(), 64);
    assert_eq!(answer[..8], words(&[7, 31]));
    let file = client.lookup(ROOT, "file").unwrap();
    assert_eq!(client.lookup(ROOT, "file"), Ok(file), "the same number");
    let handle = client.open(file, libc_flags::RDWR).unwrap();
    assert_eq!(client.read(handle, 1, 100).unwrap(), b"ello");
    assert_eq!(client.write(handle, 4, b"o, world"), Ok(8));
    assert_eq!(fs::read(client.shared("file")).unwrap(), b"hello, world");
    let (node, handle) = client
        .create(ROOT, "new", libc_flags::WRONLY, 0o100_664)
        .unwrap();
    assert_eq!(client.write(handle, 0, b"x"), Ok(1));
    let mode = fs::metadata(client.shared("new")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o664, "the guest's mask alone counts");
    let exclusive = libc_flags::WRONLY | libc_flags::EXCL;
    assert_eq!(client.create(ROOT, "new", exclusive, 0o600), Err(EXIST));
    let again = client.create(ROOT, "new", libc_flags::TRUNC | libc_flags::WRONLY, 0o600);
    assert_eq!(again.unwrap().0, node);
    assert_eq!(fs::metadata(client.shared("new")).unwrap().len(), 0);
    let folder = client.lookup(ROOT, "folder").unwrap();
    let names = join(&[&longs(&[folder]), b"new\0moved\0"]);
    client.ask(opcode::RENAME, ROOT, &names).unwrap();
    assert!(client.shared("folder/moved").exists());
    client.ask(opcode::UNLINK, folder, b"moved\0").unwrap();
    client.ask(opcode::RMDIR, ROOT, b"folder\0").unwrap();
    assert!(!client.shared("folder").exists());
    // What is open outlives its name.
    assert_eq!(client.write(handle, 0, b"still"), Ok(5));
    client
        .ask(opcode::RELEASE, node, &longs(&[handle, 0, 0]))
        .unwrap();
    assert_eq!(client.read(handle, 0, 1), Err(BADF));
    client.ask(opcode::SYMLINK, ROOT, b"made\0file\0").unwrap();
    let link = client.lookup(ROOT, "made").unwrap();
    assert_eq!(client.ask(opcode::READLINK, link, &[]).unwrap(), b"file");
}

#[test]
fn attributes_change() {
    let mut client = Client::new(false);
    let file = client.lookup(ROOT, "file").unwrap();
    let set = |valid: u32, size: u64, mode: u32| {
        join(&[
            &words(&[valid, 0]),
            &longs(&[0, size, 0, 1_000_000_000, 1_100_000_000, 0]),
            &words(&[5, 7, 0, mode, 0, 12_345, 12_345, 0]),
        ])
    };
    // Mode, size, both times.
    client
        .ask(opcode::SETATTR, file, &set(1 | 8 | 16 | 32, 3, 0o104_751))
        .unwrap();
    let metadata = fs::metadata(client.shared("file")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o751, "no set-user-ID by a guest");
    assert_eq!((metadata.len(), metadata.mtime()), (3, 1_100_000_000));
    assert_eq!(
        (metadata.atime(), metadata.mtime_nsec()),
        (1_000_000_000, 7)
    );
    let answer = client.ask(opcode::GETATTR, file, &[0; 16]).unwrap();
    assert_eq!(answer.len(), 104);
    assert_eq!(long_at(&answer, 24), 3);
}

#[test]
fn read_only_means_that_nothing_changes() {
    let mut client = Client::new(true);
    let before = fs::metadata(client.shared("file")).unwrap();
    let file = client.lookup(ROOT, "file").unwrap();
    let handle = client.open(file, 0).unwrap();
    assert_eq!(client.read(handle, 0, 10).unwrap(), b"hello");
    for flags in [libc_flags::WRONLY, libc_flags::RDWR, libc_flags::TRUNC, 3] {
        assert_eq!(client.open(file, flags), Err(ROFS));
    }
    assert_eq!(client.write(handle, 0, b"x"), Err(ROFS));
    // Whatever the operation and its arguments.
    for operation in 0..64 {
        for arguments in [&b"file\0"[..], &[0; 88], b"\0\0\0\0\0\0\0\0file\0x\0"] {
            if !opcode::is_silent(operation) && operation != opcode::DESTROY {
                let _ = client.ask(operation, ROOT, arguments);
                let _ = client.ask(operation, file, arguments);
            }
        }
    }
    let after = fs::metadata(client.shared("file")).unwrap();
    assert_eq!(
        (before.ctime(), before.ctime_nsec()),
        (after.ctime(), after.ctime_nsec())
    );
    assert_eq!(fs::read(client.shared("file")).unwrap(), b"hello");
    assert_eq!(
        fs::read_dir(client.outside.join("shared")).unwrap().count(),
        4
    );
}

#[test]
fn only_folders_are_shared() {
    let client = Client::new(false);
    assert!(Share::open(&client.shared("file"), false).is_err());
    assert!(Share::open(&client.shared("none"), false).is_err());
}
