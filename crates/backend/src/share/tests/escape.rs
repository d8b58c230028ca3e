//! What leads out of the shared folder, and what does not belong in a guest's hands.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::sync::atomic::Ordering;

use super::client::{
    Client, INVAL, LOOP, NOENT, NOTDIR, NXIO, PERM, join, libc_flags, longs, words,
};
use crate::share::message::opcode;
use crate::share::node::ROOT;

#[test]
fn no_name_leads_out() {
    let mut client = Client::new(false);
    for name in [
        "",
        ".",
        "..",
        "../secret",
        "/etc",
        "folder/..",
        "folder/",
        "a/b",
    ] {
        assert_eq!(client.lookup(ROOT, name), Err(INVAL), "{name}");
        assert_eq!(client.create(ROOT, name, 1, 0o600), Err(INVAL), "{name}");
        let text = join(&[name.as_bytes(), b"\0"]);
        for operation in [opcode::UNLINK, opcode::RMDIR] {
            assert_eq!(client.ask(operation, ROOT, &text), Err(INVAL), "{name}");
        }
        let pair = join(&[&longs(&[ROOT]), b"file\0", &text]);
        assert_eq!(
            client.ask(opcode::RENAME, ROOT, &pair),
            Err(INVAL),
            "{name}"
        );
        let pair = join(&[&longs(&[ROOT]), &text, b"file\0"]);
        assert_eq!(
            client.ask(opcode::RENAME, ROOT, &pair),
            Err(INVAL),
            "{name}"
        );
        let folder = join(&[&words(&[0o755, 0]), &text]);
        assert_eq!(
            client.ask(opcode::MKDIR, ROOT, &folder),
            Err(INVAL),
            "{name}"
        );
        let link = join(&[&text, b"target\0"]);
        assert_eq!(
            client.ask(opcode::SYMLINK, ROOT, &link),
            Err(INVAL),
            "{name}"
        );
    }
    // Not even ended.
    assert_eq!(client.ask(opcode::LOOKUP, ROOT, b"file"), Err(INVAL));
    assert_eq!(client.ask(opcode::LOOKUP, ROOT, &[b'x'; 7000]), Err(INVAL));
    let long = "x".repeat(256);
    assert_eq!(client.lookup(ROOT, &long), Err(36));
}

#[test]
fn links_are_named_but_never_followed() {
    let mut client = Client::new(false);
    let link = client.lookup(ROOT, "link").unwrap();
    assert_eq!(
        client.ask(opcode::READLINK, link, &[]).unwrap(),
        b"../secret"
    );
    assert_eq!(client.open(link, 0), Err(NXIO));
    assert_eq!(
        client.create(ROOT, "link", libc_flags::WRONLY, 0o600),
        Err(LOOP)
    );
    let up = client.lookup(ROOT, "up").unwrap();
    assert_eq!(client.lookup(up, "secret"), Err(NOTDIR));
    assert_eq!(
        client.ask(opcode::OPENDIR, up, &words(&[0, 0])).err(),
        Some(NOTDIR)
    );
    // Neither mode, size, times nor another name reach what a link leads to.
    let set = |valid: u32| join(&[&words(&[valid, 0]), &[0; 80]]);
    for valid in [1, 8, 16 | 32] {
        assert!(client.ask(opcode::SETATTR, link, &set(valid)).is_err());
    }
    let hard = join(&[&longs(&[link]), b"hard\0"]);
    assert!(client.ask(opcode::LINK, ROOT, &hard).is_err());
    assert_eq!(fs::read(client.outside.join("secret")).unwrap(), b"secret");
    let metadata = fs::metadata(client.outside.join("secret")).unwrap();
    assert_ne!(metadata.mode() & 0o777, 0);
}

#[test]
fn a_folder_that_becomes_a_link_meanwhile_leads_nowhere() {
    let mut client = Client::new(false);
    fs::write(client.shared("folder/inner"), "inner").unwrap();
    let folder = client.lookup(ROOT, "folder").unwrap();
    let (shared, outside) = (client.outside.join("shared"), client.outside.clone());
    // The host swaps the folder and a link that leads out, all the time.
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = stop.clone();
    let swapper = std::thread::spawn(move || {
        symlink(&outside, shared.join("swap")).unwrap();
        while !seen.load(Ordering::Relaxed) {
            let (one, two) = (shared.join("folder"), shared.join("swap"));
            let exchange = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(rustix::fs::CWD, &one, rustix::fs::CWD, &two, exchange)
                .unwrap();
        }
    });
    for _ in 0..3000 {
        // Whatever it is now, it is no way to the secret.
        let found = client.lookup(ROOT, "folder").unwrap();
        assert!(matches!(
            client.lookup(found, "secret"),
            Err(NOENT | NOTDIR)
        ));
        assert!(
            client.lookup(folder, "inner").is_ok(),
            "what is known stays"
        );
        let made = client.create(found, "made", libc_flags::WRONLY, 0o600);
        assert!(matches!(made, Ok(_) | Err(NOTDIR)), "{made:?}");
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(!client.outside.join("made").exists());
}

#[test]
fn special_files_are_shown_and_not_opened() {
    let mut client = Client::new(false);
    let arguments = join(&[&words(&[0o010_644, 0, 0, 0]), b"fifo\0"]);
    client.ask(opcode::MKNOD, ROOT, &arguments).unwrap();
    let fifo = client.lookup(ROOT, "fifo").unwrap();
    assert!(
        fs::metadata(client.shared("fifo"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    assert_eq!(client.open(fifo, 0), Err(NXIO));
    assert_eq!(
        client.create(ROOT, "fifo", libc_flags::WRONLY, 0o600),
        Err(NXIO)
    );
    let size = join(&[&words(&[8, 0]), &[0; 80]]);
    assert_eq!(client.ask(opcode::SETATTR, fifo, &size), Err(NXIO));
    let device = join(&[&words(&[0o020_644, 0x0103, 0, 0]), b"null\0"]);
    assert_eq!(client.ask(opcode::MKNOD, ROOT, &device), Err(PERM));
}

/// Random requests, well formed or not, by numbers that exist or not: nothing panics, and nothing outside changes.
#[test]
fn a_storm_of_requests_is_survived() {
    let mut client = Client::new(false);
    let mut state = 0x5eed_u64;
    let mut random = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let names = [
        "file",
        "link",
        "up",
        "..",
        "folder",
        "a",
        "b",
        "/",
        "../secret",
        "x/y",
    ];
    for _ in 0..40_000 {
        let operation = random(52) as u32;
        let node = random(12);
        let mut arguments = Vec::new();
        for _ in 0..random(6) {
            match random(4) {
                0 => arguments.extend(longs(&[random(12)])),
                1 => arguments.extend(words(&[random(5) as u32, random(4) as u32 * 0o40_200])),
                2 => arguments.extend(longs(&[u64::MAX >> random(64)])),
                _ => {
                    let name = names[random(names.len() as u64) as usize];
                    arguments.extend(name.as_bytes());
                    arguments.push(0);
                }
            }
        }
        if operation == opcode::SYNCFS {
            continue;
        }
        let mut request = client.request(operation, node, &arguments);
        if random(10) == 0 {
            request.truncate(random(request.len() as u64) as usize);
        }
        client.raw(&request, [0, 8, 16, 200, 70_000][random(5) as usize]);
    }
    assert_eq!(fs::read(client.outside.join("secret")).unwrap(), b"secret");
    let mut outside: Vec<_> = fs::read_dir(&client.outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    outside.sort();
    assert_eq!(outside, ["secret", "shared"]);
}
