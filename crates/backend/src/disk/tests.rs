use std::fs;
use std::path::{Path, PathBuf};

use iface::Disk;
use mem::{Gpa, GuestRam, Offset, Pieces};

use super::{Error, Options, open};

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

const WRITING: Options = Options {
    format: None,
    read_only: false,
    ephemeral: false,
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
    let ram = GuestRam::new(&[(Gpa(0), 0x1_0000)]).unwrap();
    let mut seed = 7_u64;
    let mut random = move |limit: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % limit
    };
    for round in 0..400_u64 {
        let at = random(model.len() as u64 / 512) * 512;
        let len = (random(20) + 1) * 512;
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
    (0..50 * 512_u32).map(|index| (index / 7) as u8).collect()
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
