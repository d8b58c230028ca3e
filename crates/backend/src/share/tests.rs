use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use iface::{FileServer, Served};
use mem::{Gpa, GuestRam, Pieces};

use super::message::opcode;
use super::node::ROOT;
use super::{Share, lock};

const RAM: u64 = 0x40_0000;
const ANSWER: u64 = 0x20_0000;

const NOENT: i32 = 2;
const NXIO: i32 = 6;
const BADF: i32 = 9;
const PERM: i32 = 1;
const EXIST: i32 = 17;
const NOTDIR: i32 = 20;
const INVAL: i32 = 22;
const ROFS: i32 = 30;
const LOOP: i32 = 40;
const STALE: i32 = 116;

/// A folder `shared` in a folder with secrets, and a guest's side.
struct Client {
    outside: PathBuf,
    share: Share,
    ram: GuestRam,
    unique: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.outside);
    }
}

/// Little pieces of arguments, put behind each other.
fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn words(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn longs(list: &[u64]) -> Vec<u8> {
    list.iter().flat_map(|long| long.to_ne_bytes()).collect()
}

fn long_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Client {
    fn new(read_only: bool) -> Self {
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

    fn shared(&self, name: &str) -> PathBuf {
        self.outside.join("shared").join(name)
    }

    fn raw(&mut self, request: &[u8], room: u64) -> Served {
        self.ram.write(Gpa(0), request).unwrap();
        let (mut there, mut back) = (Pieces::default(), Pieces::default());
        there.push(self.ram.offset(Gpa(0), RAM).unwrap(), request.len() as u64);
        back.push(self.ram.offset(Gpa(ANSWER), room).unwrap(), room);
        self.share.serve(&self.ram, there, back)
    }

    fn request(&mut self, opcode: u32, node: u64, arguments: &[u8]) -> Vec<u8> {
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
    fn ask(&mut self, opcode: u32, node: u64, arguments: &[u8]) -> Result<Vec<u8>, i32> {
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

    fn lookup(&mut self, parent: u64, name: &str) -> Result<u64, i32> {
        let name = join(&[name.as_bytes(), &[0]]);
        let entry = self.ask(opcode::LOOKUP, parent, &name)?;
        assert_eq!(entry.len(), 128);
        Ok(long_at(&entry, 0))
    }

    fn open(&mut self, node: u64, flags: i32) -> Result<u64, i32> {
        let answer = self.ask(opcode::OPEN, node, &words(&[flags as u32, 0]))?;
        Ok(long_at(&answer, 0))
    }

    fn create(
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

    fn read(&mut self, handle: u64, offset: u64, size: u32) -> Result<Vec<u8>, i32> {
        let arguments = join(&[&longs(&[handle, offset]), &words(&[size, 0]), &[0; 16]]);
        self.ask(opcode::READ, 0, &arguments)
    }

    fn write(&mut self, handle: u64, offset: u64, data: &[u8]) -> Result<u32, i32> {
        let size = data.len() as u32;
        let head = join(&[&longs(&[handle, offset]), &words(&[size, 0]), &[0; 16]]);
        let answer = self.ask(opcode::WRITE, 0, &join(&[&head, data]))?;
        Ok(u32::from_ne_bytes(answer[..4].try_into().unwrap()))
    }

    /// The names in a folder.
    fn list(&mut self, node: u64, plus: bool) -> Vec<String> {
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

    fn lock(&mut self, operation: u32, node: u64, of: [u64; 4], kind: u32, flags: u32) -> Vec<u8> {
        let arguments = join(&[&longs(&of), &words(&[kind, 1, flags, 0])]);
        self.request(operation, node, &arguments)
    }

    fn error(&self) -> i32 {
        let mut bytes = [0; 8];
        self.ram.read(Gpa(ANSWER), &mut bytes).unwrap();
        -i32::from_ne_bytes(bytes[4..].try_into().unwrap())
    }
}

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

/// Linux's numbers of flags of `open`.
mod libc_flags {
    pub(super) const WRONLY: i32 = 1;
    pub(super) const RDWR: i32 = 2;
    pub(super) const EXCL: i32 = 0o200;
    pub(super) const TRUNC: i32 = 0o1000;
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
fn ten_thousand_entries_are_listed() {
    let mut client = Client::new(false);
    for number in 0..10_000 {
        fs::write(client.shared(&format!("folder/{number}")), "").unwrap();
    }
    let folder = client.lookup(ROOT, "folder").unwrap();
    for plus in [false, true] {
        let names = client.list(folder, plus);
        assert_eq!(names.len(), 10_002);
        let unique: std::collections::HashSet<_> = names.into_iter().collect();
        assert_eq!(unique.len(), 10_002);
    }
}

#[test]
fn what_is_forgotten_is_gone() {
    let mut client = Client::new(false);
    let file = client.lookup(ROOT, "file").unwrap();
    client.lookup(ROOT, "file").unwrap();
    assert_eq!(lock(&client.share.nodes).len(), 2);
    client.ask(opcode::FORGET, file, &longs(&[1])).unwrap();
    assert!(client.open(file, 0).is_ok());
    let pairs = join(&[&words(&[2, 0]), &longs(&[file, 1, ROOT, 99])]);
    client.ask(opcode::BATCH_FORGET, 0, &pairs).unwrap();
    assert_eq!(client.open(file, 0), Err(STALE));
    assert_eq!(lock(&client.share.nodes).len(), 1);
    let file = client.lookup(ROOT, "file").unwrap();
    let handle = client.open(file, 0).unwrap();
    client.share.forget_all();
    assert_eq!(client.read(handle, 0, 1), Err(BADF));
    assert!(client.lookup(ROOT, "file").is_ok());
}

#[test]
fn more_files_are_known_than_there_are_descriptors() {
    let mut client = Client::new(false);
    let root = rustix::fs::open(
        client.shared(""),
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
    );
    *lock(&client.share.nodes) = super::Nodes::new(root.unwrap(), 16).unwrap();
    fs::create_dir_all(client.shared("folder/a/b/c")).unwrap();
    let mut folder = ROOT;
    for name in ["folder", "a", "b", "c"] {
        folder = client.lookup(folder, name).unwrap();
    }
    let mut nodes = Vec::new();
    for number in 0..100 {
        let name = format!("{number}");
        fs::write(client.shared("folder/a/b/c").join(&name), &name).unwrap();
        nodes.push(client.lookup(folder, &name).unwrap());
    }
    let descriptors = |client: &Client| lock(&client.share.nodes).descriptors();
    assert!(descriptors(&client) <= 17);
    for (number, node) in nodes.iter().enumerate() {
        let handle = client.open(*node, 0).unwrap();
        assert_eq!(
            client.read(handle, 0, 10).unwrap(),
            number.to_string().as_bytes()
        );
        client
            .ask(opcode::RELEASE, *node, &longs(&[handle, 0, 0]))
            .unwrap();
    }
    assert!(descriptors(&client) <= 17);
    // The guest's renaming is followed; the host's is noticed.
    let above = client.lookup(ROOT, "folder").unwrap();
    client
        .ask(opcode::RENAME, above, &join(&[&longs(&[ROOT]), b"a\0z\0"]))
        .unwrap();
    assert!(nodes.iter().all(|&node| client.open(node, 0).is_ok()));
    let (old, new) = (client.shared("z/b/c/7"), client.shared("z/b/c/8"));
    fs::rename(&old, &new).unwrap();
    for &node in &nodes[20..] {
        client.open(node, 0).unwrap();
    }
    assert_eq!(client.open(nodes[8], 0), Err(STALE));
    fs::rename(&new, &old).unwrap();
    assert!(client.open(nodes[7], 0).is_ok());
    // All that was told is forgotten, folders last or first.
    for node in nodes.into_iter().chain([folder, above]).rev() {
        client.ask(opcode::FORGET, node, &longs(&[99])).unwrap();
    }
    assert_eq!(
        lock(&client.share.nodes).len(),
        3,
        "a and b are still known"
    );
}

/// Holds a lock on a file in another process until it is killed.
fn hold(path: &std::path::Path, how: &str) -> std::process::Child {
    let program = format!(
        "import fcntl, sys\nf = open(sys.argv[1], 'r+')\nfcntl.{how}\nprint('held', flush=True)\nsys.stdin.read()"
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

#[test]
fn locks_meet_those_of_the_hosts_processes() {
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("SKIPPED: no python3 here");
    }
    const AGAIN: i32 = 11;
    const INTR: i32 = 4;
    let mut client = Client::new(false);
    let path = client.shared("file");
    let file = client.lookup(ROOT, "file").unwrap();
    let handle = client.open(file, libc_flags::RDWR).unwrap();
    for (how, flags) in [
        ("lockf(f, fcntl.LOCK_EX, 10, 5)", 0),
        ("flock(f, fcntl.LOCK_EX)", 1),
    ] {
        let of = [handle, 77, 0, u64::from(u32::MAX)];
        let mut child = hold(&path, how);
        let set = client.lock(opcode::SETLK, file, of, 1, flags);
        assert!(matches!(client.raw(&set, 4096), Served::Done(16)));
        assert_eq!(client.error(), AGAIN, "{how}");
        let wait = client.lock(opcode::SETLKW, file, of, 1, flags);
        assert_eq!(client.raw(&wait, 4096), Served::Waits);
        if flags == 0 {
            let get = client.lock(opcode::GETLK, file, of, 1, 0);
            client.raw(&get, 4096);
            let mut found = [0; 24];
            client.ram.read(Gpa(ANSWER + 16), &mut found).unwrap();
            assert_eq!((long_at(&found, 0), long_at(&found, 8)), (5, 14));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(client.raw(&wait, 4096), Served::Done(16));
        assert_eq!(client.error(), 0, "{how}");
        // Now the host's processes meet the guest's.
        let program = "import fcntl, sys\nf = open(sys.argv[1], 'r+')\ntry:\n fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB) if sys.argv[2] == '0' else fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\nexcept BlockingIOError:\n sys.exit(7)";
        let tries = |code: i32| {
            let mut command = Command::new("python3");
            command
                .args(["-c", program])
                .arg(&path)
                .arg(flags.to_string());
            assert_eq!(command.status().unwrap().code(), Some(code), "{how}");
        };
        tries(7);
        if flags == 0 {
            client
                .ask(opcode::FLUSH, file, &longs(&[handle, 0, 77]))
                .unwrap();
        } else {
            let unlock = client.lock(opcode::SETLK, file, of, 2, flags);
            client.raw(&unlock, 4096);
        }
        tries(0);
    }
    // Two owners in the guest meet as well, and who waits can be told not to.
    let one = client.lock(opcode::SETLK, file, [handle, 1, 0, 9], 1, 0);
    client.raw(&one, 4096);
    assert_eq!(client.error(), 0);
    let two = client.lock(opcode::SETLKW, file, [handle, 2, 9, 9], 0, 0);
    assert_eq!(client.raw(&two, 4096), Served::Waits);
    let unique = client.unique;
    client.ask(opcode::INTERRUPT, 0, &longs(&[unique])).unwrap();
    assert_eq!(client.raw(&two, 4096), Served::Done(16));
    assert_eq!(client.error(), INTR);
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

#[test]
fn only_folders_are_shared() {
    let client = Client::new(false);
    assert!(Share::open(&client.shared("file"), false).is_err());
    assert!(Share::open(&client.shared("none"), false).is_err());
}
