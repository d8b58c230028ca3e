//! Debian's kernel on the root disk of an NVMe controller, without an initramfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{Cache, Known};

use crate::guest::{Guest, Spec};

/// The init of the disk.
const INIT: &str = r#"#!/bin/busybox sh
export PATH=/bin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
disk=/sys/block/nvme0n1
mount -o remount,rw /
echo "serial=$(cat /sys/class/nvme/nvme0/serial)"
echo "wwid=$(cat $disk/wwid)"
echo "queues=$(ls $disk/mq | wc -l)"
echo "cache=$(cat $disk/queue/write_cache) fua=$(cat $disk/queue/fua)"
if [ -e /file ]; then md5sum /file; else seq 1 100000 > /file; fi
sync
echo 3 > /proc/sys/vm/drop_caches
md5sum /file
# A second disk: a partition appears when the table is read again, and holds a file system.
printf 'n\np\n1\n\n\nw\n' | fdisk /dev/nvme1n1 > /dev/null 2>&1
blockdev --rereadpt /dev/nvme1n1
mke2fs -q /dev/nvme1n1p1 && mount /dev/nvme1n1p1 /mnt && seq 1 100000 > /mnt/file
sync
rm /mnt/file
fstrim /mnt && umount /mnt && echo "partition holds"
echo "odd=$(dmesg | grep -cE 'nvme.*(timeout|abort|error|fail)|BUG:|WARNING:|Call Trace')"
echo synced
read answer
echo bye
poweroff -f
"#;

/// What `md5sum` says of the numbers up to 100000 in a file.
const SUM: &str = "dea9193b768319cbb4ff1a137ac03113";

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("suz-nvme-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An ext4 image with busybox and the init; `None`, said aloud, where no mke2fs is to be had.
fn root(folder: &Folder) -> Option<PathBuf> {
    let cache = Cache::open().expect("a folder for the cache");
    let busybox = cache
        .ensure(Known::Busybox)
        .expect("busybox can be had")
        .path;
    let (tree, image) = (folder.file("tree"), folder.file("root.img"));
    for name in ["bin", "dev", "proc", "sys", "mnt", "sbin", "tmp"] {
        fs::create_dir_all(tree.join(name)).expect("our own folder");
    }
    let place = |from: &Path, to: &str| {
        use std::os::unix::fs::PermissionsExt;
        let to = tree.join(to);
        fs::copy(from, &to).expect("the cache is readable");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("our own file");
    };
    let init = folder.file("init");
    fs::write(&init, INIT).expect("our own folder");
    place(&busybox, "bin/busybox");
    place(&init, "sbin/init");
    let file = fs::File::create(&image).expect("our own folder");
    file.set_len(48 << 20).expect("a sparse file");
    let made = Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-d"])
        .arg(&tree)
        .arg(&image)
        .status();
    match made {
        Ok(status) if status.success() => Some(image),
        _ => {
            println!("SKIPPED: no mke2fs that fills a file system");
            None
        }
    }
}

fn start(root: &Path, other: &Path, cpus: &str) -> Guest {
    let kernel = crate::guest::known(Known::Cloud).expect("the kernel can be had");
    let disk = |path: &Path| format!("{},bus=nvme", path.display());
    Spec::new(&kernel.path)
        .with(
            "--append",
            "console=ttyS0 quiet panic=-1 root=/dev/nvme0n1 init=/sbin/init",
        )
        .with("--cpus", cpus)
        .with("--disk", disk(root) + ",serial=root")
        .with("--disk", disk(other))
        .start()
}

/// Boots, is killed after a sync, and boots again.
fn boots(cpus: &str) {
    let folder = Folder::new(cpus);
    let Some(root) = root(&folder) else {
        return;
    };
    let other = folder.file("other.qcow2");
    let made = Command::new(env!("CARGO_BIN_EXE_suz"))
        .args(["disk", "create"])
        .arg(&other)
        .arg("64M")
        .status();
    assert!(made.expect("suz starts").success());
    let mut identifiers = Vec::new();
    for last in [false, true] {
        let mut guest = start(&root, &other, cpus);
        guest.expect("serial=root");
        guest.expect("wwid=eui.");
        identifiers.push(guest.expect("\r\n"));
        guest.expect(&format!("queues={cpus}\r\n"));
        guest.expect("cache=write back fua=1\r\n");
        guest.expect(SUM);
        guest.expect("partition holds\r\n");
        guest.expect("odd=0\r\n");
        guest.expect("synced\r\n");
        if last {
            guest.send("\n");
            guest.expect("bye\r\n");
            assert_eq!(guest.finish(), 0);
        }
    }
    assert_eq!(identifiers[0], identifiers[1]);
    match Command::new("qemu-img").arg("check").arg(&other).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("No errors were found"), "{said}");
        }
        Err(_) => println!("SKIPPED: no qemu-img to check with"),
    }
}

#[test]
fn a_root_disk_boots_with_one_processor() {
    boots("1");
}

#[test]
fn a_root_disk_boots_with_two_processors() {
    boots("2");
}
