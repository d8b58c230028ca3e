//! A disk image as vendors make them: a partition table, a root that fstab finds by its label, a boot menu. What is on
//! it is the image `debian`, changed where that makes a difference.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{SeekFrom, seek};

use crate::gpt;
use crate::image::suz;
use crate::running::{Machine, Running};

/// What the image and the machine are called.
const NAME: &str = "vendor";
/// In the file system.
const FSTAB: &str = "LABEL=root / ext4 errors=remount-ro 0 1\n";
/// What the menu has the kernel told.
const ARGUMENTS: &str = "root=LABEL=root ro vendor=1";

/// A folder on a disk, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(NAME);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The image, removed when dropped, with the machine that is made of it.
struct Image(Machine);

impl Image {
    fn new() -> Self {
        let image = Self(Machine::new(NAME));
        image.remove();
        image
    }

    fn remove(&self) {
        let mut suz = suz().expect("the image debian is there");
        let _ = suz
            .args(["image", "rm", NAME])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.0.remove();
        self.remove();
    }
}

/// What a command prints, which must succeed.
fn prints(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Copies what is written of a sparse file to another, further back.
fn copy(from: &mut File, to: &mut File, offset: u64) {
    let len = from.metadata().unwrap().len();
    let mut at = 0;
    while let Ok(start) = seek(&*from, SeekFrom::Data(at)) {
        at = seek(&*from, SeekFrom::Hole(start)).unwrap();
        seek(&*from, SeekFrom::Start(start)).unwrap();
        to.seek(std::io::SeekFrom::Start(offset + start)).unwrap();
        std::io::copy(&mut from.take(at - start), to).unwrap();
    }
    assert!(at <= len);
    to.flush().unwrap();
}

/// Has e2fsprogs do something to the file system on the partition; what it prints. None, said aloud, without it.
fn debugfs(disk: &Path, script: &str) -> Option<String> {
    let mut command = Command::new("debugfs");
    command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    command.args(["-w", "-f", "-"]);
    command.arg(format!("{}?offset={}", disk.display(), gpt::MARGIN));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.stderr(Stdio::null()).spawn() else {
        println!("SKIPPED: no debugfs, which would make the disk");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes the disk.
fn make(folder: &Folder) -> Option<PathBuf> {
    let told = prints(suz()?.args(["image", "inspect", "debian"]));
    let base = told.lines().find_map(|line| line.strip_prefix("disk "));
    let mut base = File::open(base.unwrap().trim()).unwrap();
    let path = folder.0.join("disk.img");
    let mut disk = File::create_new(&path).unwrap();
    gpt::write(&disk, base.metadata().unwrap().len()).unwrap();
    copy(&mut base, &mut disk, gpt::MARGIN);
    let list = debugfs(&path, "ls -p /boot\n")?;
    let version = list
        .split('/')
        .find_map(|name| name.strip_prefix("vmlinuz-"));
    let version = version.expect("there is a kernel");
    let menu = folder.file(
        "grub.cfg",
        &format!(
            "set timeout=5\nmenuentry 'Debian' --class debian {{\n\tinsmod part_gpt\n\tsearch --label root\n\
             \tlinux /boot/vmlinuz-{version} {ARGUMENTS}\n\tinitrd /boot/initrd.img-{version}\n}}\n\
             menuentry 'Rescue' {{\n\tlinux /boot/rescue\n}}\n"
        ),
    );
    let fstab = folder.file("fstab", FSTAB);
    debugfs(
        &path,
        &format!(
            "rm /vmlinuz\nrm /initrd.img\nrm /etc/fstab\nwrite {fstab} /etc/fstab\nmkdir /boot/grub\n\
             write {menu} /boot/grub/grub.cfg\n"
        ),
    )?;
    Some(path)
}

#[test]
fn a_vendors_disk_is_imported_and_survives_a_reboot() {
    if suz().is_none() {
        return;
    }
    let (folder, image) = (Folder::new(), Image::new());
    let Some(disk) = make(&folder) else { return };
    let mut import = suz().unwrap();
    prints(import.args(["image", "import", "--name", NAME]).arg(&disk));
    drop(folder);
    let told = prints(suz().unwrap().args(["image", "inspect", NAME]));
    assert!(told.contains("system   Debian GNU/Linux 12"), "{told}");
    assert!(told.contains(&format!("append   {ARGUMENTS}\n")), "{told}");

    let mut running = Running::start_of(NAME, image.0.0).expect("the image is there");
    let is_right = |running: &Running| {
        assert_eq!(running.says("findmnt -no SOURCE /"), "/dev/vda1");
        assert_eq!(running.says("cat /etc/fstab"), FSTAB.trim());
        let told = running.says("cat /proc/cmdline");
        assert!(told.starts_with(ARGUMENTS), "{told}");
    };
    is_right(&running);
    running.says("echo kept > kept");
    running.reboot();
    is_right(&running);
    assert_eq!(running.says("cat kept"), "kept");
}
