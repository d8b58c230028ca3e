//! A shared folder under requests of a hostile guest. Nothing outside of the folder may change.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use backend::Share;
use fuzz::virtio::{Operation, Request, perform};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use virtio::Fs;

/// Part of a request's arguments.
#[derive(Debug, Arbitrary)]
enum Part {
    Small(u8),
    Word(u32),
    Long(u64),
    Name(u8),
    Bytes(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
struct Ask {
    opcode: u8,
    node: u8,
    parts: Vec<Part>,
    room: u16,
    urgent: bool,
}

const NAMES: [&str; 12] = [
    "a",
    "b",
    "file",
    "folder",
    "link",
    "up",
    ".",
    "..",
    "../secret",
    "/etc/passwd",
    "a/b",
    "",
];

/// Where the folder is, in a folder of its own.
static OUTSIDE: LazyLock<PathBuf> = LazyLock::new(|| {
    let outside = std::env::temp_dir().join(format!("suz-fuzz-share-{}", std::process::id()));
    fs::create_dir_all(&outside).expect("the temporary folder is writable");
    fs::write(outside.join("secret"), "secret").expect("it is writable");
    outside
});

fn request(ask: Ask) -> Option<Request> {
    // Making all of the host's file system durable takes too long.
    const SYNCFS: u8 = 50;
    let opcode = ask.opcode % 54;
    if opcode == SYNCFS {
        return None;
    }
    let mut arguments = Vec::new();
    for part in ask.parts {
        match part {
            Part::Small(small) => arguments.extend(u64::from(small % 8).to_ne_bytes()),
            Part::Word(word) => arguments.extend(word.to_ne_bytes()),
            Part::Long(long) => arguments.extend(long.to_ne_bytes()),
            Part::Name(name) => {
                arguments.extend(NAMES[usize::from(name) % NAMES.len()].as_bytes());
                arguments.push(0);
            }
            Part::Bytes(bytes) => arguments.extend(bytes),
        }
    }
    let mut bytes = (40 + arguments.len() as u32).to_ne_bytes().to_vec();
    bytes.extend(u32::from(opcode).to_ne_bytes());
    bytes.extend(
        [7_u64, u64::from(ask.node % 16)]
            .map(u64::to_ne_bytes)
            .concat(),
    );
    bytes.extend([0; 16]);
    bytes.extend(arguments);
    Some(Request {
        queue: u8::from(!ask.urgent),
        bytes,
        room: ask.room,
    })
}

fuzz_target!(|operations: Vec<Operation<Ask>>| {
    let shared = OUTSIDE.join("shared");
    let _ = fs::remove_dir_all(&shared);
    fs::create_dir_all(shared.join("folder")).expect("it is writable");
    fs::write(shared.join("file"), "hello").expect("it is writable");
    std::os::unix::fs::symlink("../secret", shared.join("link")).expect("it is writable");
    std::os::unix::fs::symlink("..", shared.join("up")).expect("it is writable");
    let server = Arc::new(Share::open(&shared, false).expect("a folder"));
    let device = Fs::new(server, "/fuzz", 1).expect("descriptors");
    perform(device, operations, request);
    let secret = fs::read(OUTSIDE.join("secret")).expect("it is there");
    assert_eq!(secret, b"secret");
    let count = fs::read_dir(&*OUTSIDE).expect("it is there").count();
    assert_eq!(count, 2, "something was made outside");
});
