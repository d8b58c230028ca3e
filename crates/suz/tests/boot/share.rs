//! Folders that a real guest and the host share.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use host::lock::{Kind, Range};

use crate::python;

/// Files in one folder.
const MANY: usize = 10_000;

const PROGRAM: &str = r"
import errno, fcntl, mmap, os
def refused(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'allowed'
os.chdir('/data')
print('read:', open('from-host').read(), flush=True)
with open('from-guest', 'w') as f:
    f.write('made in the guest')
os.mkdir('folder')
os.rename('from-guest', 'folder/renamed')
os.symlink('folder/renamed', 'link')
print('link:', open('link').read())
names = os.listdir('many')
sizes = sum(e.stat().st_size for e in os.scandir('many'))
print('entries:', len(names), len(set(names)), sizes, flush=True)
os.system('./program; cp /bin/busybox busybox; ./busybox echo an executed file')
with open('mapped', 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0)
    print('mapped:', m[:4])
    m[100_000:100_005] = b'guest'
    m.flush()
f = open('locked', 'r+')
flags = fcntl.LOCK_EX | fcntl.LOCK_NB
print('flock:', refused(lambda: fcntl.flock(f, flags)))
print('range:', refused(lambda: fcntl.lockf(f, flags, 10, 0)))
print('beside:', refused(lambda: fcntl.lockf(f, flags, 10, 50)))
print('waiting', flush=True)
fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
fcntl.flock(f, fcntl.LOCK_EX)
print('granted', flush=True)
input()
f.close()
print('changed:', open('from-host').read())
os.chdir('/ro')
print('ro:', open('from-host').read())
print(refused(lambda: open('from-host', 'r+')), refused(lambda: open('new', 'w')),
      refused(lambda: os.unlink('from-host')), refused(lambda: os.rename('from-host', 'x')),
      refused(lambda: os.chmod('from-host', 0o600)), refused(lambda: os.mkdir('x')),
      refused(lambda: os.truncate('from-host', 0)), refused(lambda: os.utime('from-host')))
print('done', flush=True)
";

const SCRIPT: &str = "
for folder in /data /ro; do mkdir $folder && mount -t virtiofs $folder $folder; done
python3.11 /program.py
umount /data && echo unmounted
";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("suz-boot-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("the folder is writable");
        path
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("the guest made it")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_folder_is_shared() {
    let folder = Folder::new("share");
    folder.file("from-host", "made on the host");
    fs::create_dir(folder.0.join("many")).expect("it is new");
    for number in 0..MANY {
        folder.file(&format!("many/{number}"), "1234");
    }
    let program = folder.file("program", "#!/bin/sh\necho an executed script\n");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(program, mode).expect("our own file");
    folder.file("mapped", vec![b'h'; 200_000]);
    let path = folder.file("locked", "");
    let other = File::options().read(true).write(true).open(path);
    let other = other.expect("our own file");
    other.lock().expect("nobody else has it");
    let range = |kind| Range {
        kind,
        start: 5,
        len: 10,
    };
    host::lock::set(&other, range(Kind::Write)).expect("nobody else has it");

    let shares = [":/data", ":/ro:ro"].map(|guest| format!("{}{guest}", folder.0.display()));
    let options = [
        ("--share", shares[0].as_str()),
        ("--share", shares[1].as_str()),
        ("--cpus", "2"),
    ];
    let mut guest = python::start("share", SCRIPT, PROGRAM, &options);
    guest.expect("read: made on the host\r\n");
    guest.expect("link: made in the guest\r\n");
    guest.expect("entries: 10000 10000 40000\r\n");
    guest.expect("an executed script\r\nan executed file\r\n");
    guest.expect("mapped: b'hhhh'\r\n");
    guest.expect("flock: EAGAIN\r\nrange: EAGAIN\r\nbeside: allowed\r\nwaiting\r\n");
    assert_eq!(folder.text("folder/renamed"), "made in the guest");
    let target = fs::read_link(folder.0.join("link")).expect("the guest made it");
    assert_eq!(target.to_str(), Some("folder/renamed"));
    assert_eq!(&folder.text("mapped")[99_999..100_006], "hguesth");

    // The guest waits, and gets what it waits for.
    thread::sleep(Duration::from_millis(200));
    host::lock::set(&other, range(Kind::None)).expect("it was ours");
    other.unlock().expect("it was ours");
    guest.expect("granted\r\n");
    assert!(other.try_lock().is_err(), "the guest holds it");
    assert!(host::lock::set(&other, range(Kind::Read)).is_err());
    let mut changed = File::options()
        .append(true)
        .open(folder.0.join("from-host"))
        .expect("our own file");
    changed.write_all(b", and changed").expect("it takes bytes");
    thread::sleep(Duration::from_millis(1100));
    guest.send("\n");
    guest.expect("changed: made on the host, and changed\r\n");
    guest.expect("ro: made on the host, and changed\r\n");
    guest.expect("EROFS EROFS EROFS EROFS EROFS EROFS EROFS EROFS\r\ndone\r\n");
    guest.expect("unmounted");
    assert!(other.try_lock().is_ok(), "the guest has closed it");
    host::lock::set(&other, range(Kind::Write)).expect("the guest has closed it");
    assert_eq!(guest.finish(), 0);
}
