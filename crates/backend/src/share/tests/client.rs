//! A guest's side of a share.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use iface::{FileServer, Served};
use mem::{Gpa, GuestRam, Pieces};

use crate::share::Share;
use crate::share::message::opcode;

pub(super) const RAM: u64 = 0x40_0000;
pub(super) const ANSWER: u64 = 0x20_0000;

pub(super) const NOENT: i32 = 2;
pub(super) const NXIO: i32 = 6;
pub(super) const BADF: i32 = 9;
pub(super) const PERM: i32 = 1;
pub(super) const EXIST: i32 = 17;
pub(super) const NOTDIR: i32 = 20;
pub(super) const INVAL: i32 = 22;
pub(super) const ROFS: i32 = 30;
pub(super) const LOOP: i32 = 40;
pub(super) const STALE: i32 = 116;

/// Linux's numbers of flags of `open`.
pub(super) mod libc_flags {
    pub(in crate::share::tests) const WRONLY: i32 = 1;
    pub(in crate::share::tests) const RDWR: i32 = 2;
    pub(in crate::share::tests) const EXCL: i32 = 0o200;
    pub(in crate::share::tests) const TRUNC: i32 = 0o1000;
}

/// A folder `shared` in a folder with secrets, and a guest's side.
pub(super) struct Client {
    pub(super) outside: PathBuf,
    pub(super) share: Share,
    pub(super) ram: GuestRam,
    pub(super) unique: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.outside);
    }
}

/// Little pieces of arguments, put behind each other.
pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(super) fn words(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

pub(super) fn longs(list: &[u64]) -> Vec<u8> {
    list.iter().flat_map(|long| long.to_ne_bytes()).collect()
}

pub(super) fn long_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Client {
    pub(super) fn new(read_only: bool) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("suz-share-{}-{count}", std::process::id());
        let outside = std::env::temp_dir().join(name);
        let shared = outside.join("shared");
        fs::create_dir_all(shared.join("folder")).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        fs::write(shared.join("file"), "hello").unwrap();
        symlink("../secret", shared.join("link")).unwrap();
        symlink("..", shared.join("up")).unwrap();
        let share = Share::open(&shared, read_only).unwrap();
        Self {
            outside,
            share,
            ram: GuestRam::new(&[(Gpa(0), RAM)]).unwrap(),
            unique: 0,
        }
    }

    pub(super) fn shared(&self, name: &str) -> PathBuf {
        self.outside.join("shared").join(name)
    }

    pub(super) fn raw(&mut self, request: &[u8], room: u64) -> Served {
        self.ram.write(Gpa(0), request).unwrap();
        let (mut there, mut back) = (Pieces::default(), Pieces::default());
        there.push(self.ram.offset(Gpa(0), RAM).unwrap(), request.len() as u64);
        back.push(self.ram.offset(Gpa(ANSWER), room).unwrap(), room);
        self.share.serve(&self.ram, there, back)
    }

    pub(super) fn request(&mut self, opcode: u32, node: u64, arguments: &[u8]) -> Vec<u8> {
        self.unique += 1;
        let len = 40 + arguments.len() as u32;
        let mut bytes = words(&[len, opcode]);
        bytes.extend(longs(&[self.unique, node]));
        // The process that asks, as root of the guest.
        bytes.extend(words(&[0, 0, 1, 0]));
        bytes.extend(arguments);
        bytes
    }

    /// Asks, and returns what the answer says, or its error.
    pub(super) fn ask(&mut self, opcode: u32, node: u64, arguments: &[u8]) -> Result<Vec<u8>, i32> {
        let request = self.request(opcode, node, arguments);
        let Served::Done(len) = self.raw(&request, 0x10_0000) else {
            panic!("it waits");
        };
        let mut bytes = vec![0; len as usize];
        self.ram.read(Gpa(ANSWER), &mut bytes).unwrap();
        if len == 0 {
            return Ok(bytes);
        }
        assert_eq!(bytes[..4], len.to_ne_bytes());
        assert_eq!(long_at(&bytes, 8), self.unique);
        let error = i32::from_ne_bytes(bytes[4..8].try_into().unwrap());
        if error == 0 {
            Ok(bytes.split_off(16))
        } else {
            assert_eq!(len, 16);
            Err(-error)
        }
    }

    pub(super) fn lookup(&mut self, parent: u64, name: &str) -> Result<u64, i32> {
        let name = join(&[name.as_bytes(), &[0]]);
        let entry = self.ask(opcode::LOOKUP, parent, &name)?;
        assert_eq!(entry.len(), 128);
        Ok(long_at(&entry, 0))
    }

    pub(super) fn open(&mut self, node: u64, flags: i32) -> Result<u64, i32> {
        let answer = self.ask(opcode::OPEN, node, &words(&[flags as u32, 0]))?;
        Ok(long_at(&answer, 0))
    }

    pub(super) fn create(
        &mut self,
        parent: u64,
        name: &str,
        flags: i32,
        mode: u32,
    ) -> Result<(u64, u64), i32> {
        let head = words(&[flags as u32, mode, 0, 0]);
        let arguments = join(&[&head, name.as_bytes(), &[0]]);
        let answer = self.ask(opcode::CREATE, parent, &arguments)?;
        Ok((long_at(&answer, 0), long_at(&answer, 128)))
    }

    pub(super) fn read(&mut self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>, i32> {
        let arguments = join(&[&longs(&[handle, offset]), &words(&[size, 0]), &[0; 16]]);
        self.ask(opcode::READ, 0, &arguments)
    }

    pub(super) fn write(&mut self, handle: u64, offset: u64, data: &[u8]) -> Result<u32, i32> {
        let size = data.len() as u32;
        let head = join(&[&longs(&[handle, offset]), &words(&[size, 0]), &[0; 16]]);
        let answer = self.ask(opcode::WRITE, 0, &join(&[&head, data]))?;
        Ok(u32::from_ne_bytes(answer[..4].try_into().unwrap()))
    }

    /// The names in a folder.
    pub(super) fn list(&mut self, node: u64, plus: bool) -> Vec<String> {
        let handle = self.ask(opcode::OPENDIR, node, &words(&[0, 0])).unwrap();
        let handle = long_at(&handle, 0);
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let operation = if plus {
                opcode::READDIRPLUS
            } else {
                opcode::READDIR
            };
            let arguments = join(&[&longs(&[handle, offset]), &words(&[4096, 0]), &[0; 16]]);
            let entries = self.ask(operation, node, &arguments).unwrap();
            if entries.is_empty() {
                break;
            }
            let mut rest = &entries[..];
            while !rest.is_empty() {
                if plus {
                    rest = &rest[128..];
                }
                offset = long_at(rest, 8);
                let len = u32::from_ne_bytes(rest[16..20].try_into().unwrap()) as usize;
                names.push(String::from_utf8_lossy(&rest[24..24 + len]).into_owned());
                rest = &rest[24 + len.next_multiple_of(8)..];
            }
        }
        self.ask(opcode::RELEASEDIR, node, &longs(&[handle, 0, 0]))
            .unwrap();
        names
    }

    pub(super) fn lock(
        &mut self,
        operation: u32,
        node: u64,
        of: [u64; 4],
        kind: u32,
        flags: u32,
    ) -> Vec<u8> {
        let arguments = join(&[&longs(&of), &words(&[kind, 1, flags, 0])]);
        self.request(operation, node, &arguments)
    }

    pub(super) fn error(&self) -> i32 {
        let mut bytes = [0; 8];
        self.ram.read(Gpa(ANSWER), &mut bytes).unwrap();
        -i32::from_ne_bytes(bytes[4..].try_into().unwrap())
    }
}
