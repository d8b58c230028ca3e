use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use iface::Disk;
use mem::{Gpa, GuestRam, Offset, Pieces};

use super::{Error, Options, open};

mod crash;
mod direct;

/// A folder of our own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("suz-disk-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn image(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Bytes of a disk: some clusters and a part of one.
const SIZE: u64 = 1001 * 512;

const WRITING: Options = Options {
    format: None,
    read_only: false,
    ephemeral: false,
    direct: false,
};
const READING: Options = Options {
    read_only: true,
    ..WRITING
};
const EPHEMERAL: Options = Options {
    ephemeral: true,
    ..WRITING
};

fn problem(path: &Path, options: Options) -> String {
    match open(path, options) {
        Ok(_) => panic!("{} is opened", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn one_writes_or_many_read() {
    let folder = Folder::new("locks");
    let path = folder.image("disk", &[0; 1024]);
    let writer = open(&path, WRITING).unwrap();
    for options in [WRITING, READING, EPHEMERAL] {
        assert!(matches!(open(&path, options), Err(Error::Busy { .. })));
    }
    drop(writer);
    let readers = [READING, EPHEMERAL, READING].map(|options| open(&path, options).unwrap());
    assert!(problem(&path, WRITING).contains("in use by another machine"));
    drop(readers);
    open(&path, WRITING).unwrap();
}

/// Another thread that starts a process makes copies of all open files, for the time until that process executes.
#[test]
fn a_lock_whose_holder_is_gone_but_for_a_moment_is_waited_for() {
    let folder = Folder::new("linger");
    let path = folder.image("disk", &[0; 1024]);
    let attempt = || {
        let holder = fs::File::open(&path).unwrap();
        holder.lock().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(50));
                drop(holder);
            });
            open(&path, WRITING).is_ok()
        })
    };
    // More than once for the sake of hosts that are too busy to wake the holder in time.
    assert!((0..10).any(|_| attempt()));
}

#[test]
fn what_is_no_disk_is_refused() {
    let folder = Folder::new("refused");
    let odd = folder.image("odd", &[0; 513]);
    assert!(problem(&odd, WRITING).contains("513 bytes are no whole number"));
    assert!(problem(&folder.image("empty", &[]), WRITING).contains("0 bytes"));
    assert!(problem(&folder.0, READING).contains("is a folder"));
    assert!(matches!(
        open(&folder.0.join("none"), READING),
        Err(Error::Host { .. })
    ));
    let mut bytes = vec![0; 1024];
    bytes[..4].copy_from_slice(b"KDMV");
    let vmdk = folder.image("disk.img", &bytes);
    assert!(problem(&vmdk, WRITING).contains("looks like VMDK"));
    let told = Options {
        format: Some(super::Format::Raw),
        ..WRITING
    };
    open(&vmdk, told).unwrap();
}

/// The same operations on a disk and on bytes; every read agrees.
fn exercise(disk: &dyn Disk, mut model: Vec<u8>) -> Vec<u8> {
    let ram = GuestRam::new(&[(Gpa(0), 0x4_0000)]).unwrap();
    let mut seed = 7_u64;
    let mut random = move |limit: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % limit
    };
    for round in 0..400_u64 {
        let at = random(model.len() as u64 / 512) * 512;
        let len = if round % 3 == 0 {
            random(300)
        } else {
            random(20)
        };
        let len = (len + 1) * 512;
        let len = len.min(model.len() as u64 - at);
        let range = at as usize..(at + len) as usize;
        let pieces = || {
            let mut pieces = Pieces::default();
            pieces.push(Offset(0x100), len.min(100));
            pieces.push(Offset(0x1000), len.saturating_sub(100));
            pieces
        };
        match random(5) {
            0 => {
                let bytes = vec![round as u8; len as usize];
                disk.write(at, &bytes).unwrap();
                model[range].copy_from_slice(&bytes);
            }
            1 => {
                disk.write_zeroes(at, len, round % 2 == 0).unwrap();
                model[range].fill(0);
            }
            2 => {
                let bytes: Vec<u8> = (0..len).map(|index| (index ^ round) as u8).collect();
                pieces().write(&ram, &bytes);
                disk.write_pieces(&ram, at, pieces()).unwrap();
                model[range].copy_from_slice(&bytes);
            }
            3 => {
                let mut bytes = vec![1; len as usize];
                disk.read_pieces(&ram, at, pieces()).unwrap();
                pieces().read(&ram, &mut bytes);
                assert!(bytes == model[range], "round {round}");
            }
            _ => {
                let mut bytes = vec![1; len as usize];
                disk.read(at, &mut bytes).unwrap();
                assert!(bytes == model[range], "round {round}");
            }
        }
    }
    disk.flush().unwrap();
    model
}

fn pattern() -> Vec<u8> {
    (0..SIZE as u32).map(|index| (index / 7) as u8).collect()
}

#[test]
fn a_raw_disk_keeps_what_is_written() {
    let folder = Folder::new("raw");
    let path = folder.image("disk.raw", &pattern());
    let disk = open(&path, WRITING).unwrap();
    let model = exercise(&*disk, pattern());
    drop(disk);
    assert!(fs::read(&path).unwrap() == model);
}

#[test]
fn an_ephemeral_disk_leaves_its_image_alone() {
    let folder = Folder::new("ephemeral");
    let path = folder.image("disk.raw", &pattern());
    let (one, two) = (
        open(&path, EPHEMERAL).unwrap(),
        open(&path, EPHEMERAL).unwrap(),
    );
    let model = exercise(&*one, pattern());
    let mut bytes = vec![0; model.len()];
    one.read(0, &mut bytes).unwrap();
    assert!(bytes == model);
    two.read(0, &mut bytes).unwrap();
    assert!(bytes == pattern());
    assert!(fs::read(&path).unwrap() == pattern());
}

#[test]
fn discarded_blocks_go_back_to_the_host() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new("discard");
    let path = folder.image("disk.raw", &[7; 1 << 20]);
    let disk = open(&path, WRITING).unwrap();
    disk.flush().unwrap();
    let before = fs::metadata(&path).unwrap().blocks();
    disk.discard(64 << 10, 512 << 10).unwrap();
    let after = fs::metadata(&path).unwrap().blocks();
    assert!(before - after >= 1000, "{before} blocks, then {after}");
}

/// Runs qemu-img; `None`, said aloud, where there is none.
fn qemu_img(arguments: &[&str]) -> Option<bool> {
    match std::process::Command::new("qemu-img")
        .args(arguments)
        .output()
    {
        Ok(output) => Some(output.status.success()),
        Err(_) => {
            println!("SKIPPED: no qemu-img to compare with");
            None
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_qcow2_disk_keeps_what_is_written() {
    let folder = Folder::new("qcow2");
    let path = folder.0.join("disk.qcow2");
    super::create(&path, None, Some(SIZE), None).unwrap();
    assert!(
        super::create(&path, None, Some(512), None).is_err(),
        "it is there already"
    );
    let disk = open(&path, WRITING).unwrap();
    assert!(matches!(open(&path, READING), Err(Error::Busy { .. })));
    let model = exercise(&*disk, vec![0; SIZE as usize]);
    drop(disk);
    let mut bytes = vec![0; model.len()];
    open(&path, READING).unwrap().read(0, &mut bytes).unwrap();
    assert!(bytes == model);
    assert_ne!(qemu_img(&["check", "-q", text(&path)]), Some(false));
    let raw = folder.image("compare.raw", &model);
    assert_ne!(
        qemu_img(&["compare", "-q", text(&path), text(&raw)]),
        Some(false)
    );
}

#[test]
fn images_lie_over_each_other() {
    let folder = Folder::new("chain");
    let base = folder.image("base.raw", &pattern());
    let (middle, top) = (folder.0.join("middle.qcow2"), folder.0.join("top.qcow2"));
    super::create(&middle, None, None, Some((&base, None))).unwrap();
    super::create(&top, None, None, Some((&middle, None))).unwrap();
    let info = super::info(&top, None).unwrap();
    assert_eq!(
        (info.size, info.below.as_deref()),
        (SIZE, Some("middle.qcow2"))
    );
    let disk = open(&top, WRITING).unwrap();
    // Those below are in use by a reader.
    assert!(matches!(open(&base, WRITING), Err(Error::Busy { .. })));
    let model = exercise(&*disk, pattern());
    drop(disk);
    assert!(fs::read(&base).unwrap() == pattern());
    for path in [&middle, &top] {
        assert_ne!(qemu_img(&["check", "-q", text(path)]), Some(false));
    }
    let raw = folder.image("compare.raw", &model);
    assert_ne!(
        qemu_img(&["compare", "-q", text(&top), text(&raw)]),
        Some(false)
    );
    // A chain that bites its tail.
    if qemu_img(&[
        "rebase",
        "-u",
        "-F",
        "qcow2",
        "-b",
        "top.qcow2",
        text(&middle),
    ]) == Some(true)
    {
        assert!(problem(&top, READING).contains("without end"));
    }
    // A base that is gone.
    fs::remove_file(&middle).unwrap();
    assert!(matches!(open(&top, WRITING), Err(Error::Host { .. })));
}

#[test]
fn disks_grow_and_shrink_and_are_compacted() {
    let folder = Folder::new("resize");
    for name in ["disk.raw", "disk.qcow2"] {
        let path = folder.0.join(name);
        super::create(&path, None, Some(4 << 20), None).unwrap();
        open(&path, WRITING)
            .unwrap()
            .write(1 << 20, &[7; 4096])
            .unwrap();
        super::resize(&path, None, 8 << 20, false).unwrap();
        let disk = open(&path, WRITING).unwrap();
        let mut bytes = [1; 4096];
        disk.read((8 << 20) - 4096, &mut bytes).unwrap();
        assert_eq!((disk.len(), bytes), (8 << 20, [0; 4096]));
        assert!(matches!(
            super::resize(&path, None, 2 << 20, true),
            Err(Error::Busy { .. })
        ));
        drop(disk);
        assert!(
            super::resize(&path, None, 2 << 20, false)
                .unwrap_err()
                .to_string()
                .contains("--shrink")
        );
        super::resize(&path, None, 2 << 20, true).unwrap();
        open(&path, READING)
            .unwrap()
            .read(1 << 20, &mut bytes)
            .unwrap();
        assert_eq!(bytes, [7; 4096]);
    }
    let path = folder.0.join("disk.qcow2");
    let disk = open(&path, WRITING).unwrap();
    disk.write(0, &vec![1; 1 << 20]).unwrap();
    disk.write(0, &vec![0; 1 << 20]).unwrap();
    drop(disk);
    let before = super::info(&path, None).unwrap().taken;
    super::compact(&path, None).unwrap();
    let after = super::info(&path, None).unwrap().taken;
    assert!(after + (900 << 10) < before, "{before} bytes, then {after}");
    let mut bytes = [1; 4096];
    open(&path, READING)
        .unwrap()
        .read(1 << 20, &mut bytes)
        .unwrap();
    assert_eq!(bytes, [7; 4096]);
    assert_ne!(qemu_img(&["check", "-q", text(&path)]), Some(false));
}

#[test]
fn qemus_images_are_read_and_written() {
    let folder = Folder::new("foreign");
    let raw = folder.image("in.raw", &pattern());
    let path = folder.0.join("disk.qcow2");
    let convert = ["convert", "-c", "-O", "qcow2", text(&raw), text(&path)];
    if qemu_img(&convert) != Some(true) {
        return;
    }
    let disk = open(&path, WRITING).unwrap();
    let model = exercise(&*disk, pattern());
    drop(disk);
    assert_eq!(qemu_img(&["check", "-q", text(&path)]), Some(true));
    let raw = folder.image("out.raw", &model);
    assert_eq!(
        qemu_img(&["compare", "-q", text(&path), text(&raw)]),
        Some(true)
    );
    // Snapshots inside are for readers.
    assert_eq!(
        qemu_img(&["snapshot", "-c", "one", text(&path)]),
        Some(true)
    );
    assert!(problem(&path, WRITING).contains("snapshots inside"));
    open(&path, EPHEMERAL).unwrap().write(0, &[1; 512]).unwrap();
    let odd = folder.0.join("odd.img");
    fs::copy(&path, &odd).unwrap();
    assert!(problem(&odd, WRITING).contains("say format=qcow2"));
}
