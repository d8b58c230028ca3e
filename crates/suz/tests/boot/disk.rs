//! Disks as Debian's drivers see them, and what is left of them when the monitor is killed.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::{Cache, Known, user_space};

use crate::guest::{Guest, Spec, initramfs};

/// A file that is removed when dropped.
struct Image(PathBuf);

impl Image {
    fn new(name: &str, len: u64) -> Self {
        let path = std::env::temp_dir().join(format!("suz-boot-{name}-{}", std::process::id()));
        let file = std::fs::File::create(&path).expect("the temporary folder is writable");
        file.set_len(len).expect("a sparse file");
        Self(path)
    }

    /// An empty qcow2 image.
    fn qcow2(name: &str, size: &str) -> Self {
        let file = format!("suz-boot-{name}-{}.qcow2", std::process::id());
        let path = std::env::temp_dir().join(file);
        let made = Command::new(env!("CARGO_BIN_EXE_suz"))
            .args(["disk", "create"])
            .arg(&path)
            .arg(size)
            .status();
        assert!(made.expect("suz starts").success());
        Self(path)
    }

    fn with(&self, options: &str) -> String {
        format!("{}{options}", self.0.display())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Debian's kernel, with its drivers loaded before `script` runs.
pub(crate) fn start(name: &str, script: &str, options: &[(&str, &str)]) -> Guest {
    start_in(&[], name, script, options)
}

/// The same, started by another program.
pub(crate) fn start_in(
    starter: &[&str],
    name: &str,
    script: &str,
    options: &[(&str, &str)],
) -> Guest {
    let cache = Cache::open().expect("a folder for the cache");
    let (kernel, drivers) = cache
        .drivers()
        .expect("the cloud kernel's modules can be had");
    let script = format!("drivers\n{script}");
    let initrd = initramfs(name, Known::Busybox, &script, |initramfs| {
        user_space::with_drivers(initramfs, &drivers)
    });
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let spec = Spec::new(&kernel.path)
        .with("--initrd", path(&initrd))
        .with("--append", "console=ttyS0 quiet panic=-1");
    let with = |spec: Spec, &(option, value): &(&str, &str)| spec.with(option, value);
    options.iter().fold(spec, with).start_by(starter)
}

const WRITE: &str = r"
cat /sys/block/vda/serial; echo
ls /sys/block/vda/mq | wc -l
head -c 100 /dev/hwrng | wc -c
mke2fs -q /dev/vda && mkdir /mnt && mount /dev/vda /mnt
seq 1 100000 > /mnt/file
md5sum /mnt/file
sync
echo synced
sleep 1000
";

const READ: &str = r"
mkdir /mnt && mount -o ro /dev/vda /mnt
md5sum /mnt/file
echo x > /dev/vda || echo refused
echo checked
";

/// What `md5sum` says of the numbers up to 100000 in a file.
const SUM: &str = "dea9193b768319cbb4ff1a137ac03113  /mnt/file";

/// Writes in one machine, which is killed, and reads in another.
fn survives(image: &Image, ring: &str) {
    let disk = image.with(",serial=abc");
    let mut guest = start(
        "disk-write",
        WRITE,
        &[("--disk", &disk), (ring, "--cpus=2")],
    );
    guest.expect("abc\r\n2\r\n100\r\n");
    guest.expect(SUM);
    guest.expect("synced\r\n");
    // Killed without a warning.
    drop(guest);
    let disk = image.with(",ro");
    let mut guest = start("disk-read", READ, &[("--disk", &disk)]);
    guest.expect(SUM);
    guest.expect("refused");
    guest.expect("checked");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn what_was_synced_survives_the_monitor() {
    survives(&Image::new("survive", 32 << 20), "--packed-rings");
}

#[test]
fn what_was_synced_to_qcow2_survives_the_monitor() {
    let image = Image::qcow2("survive", "32M");
    survives(&image, "--balloon");
    match Command::new("qemu-img").arg("check").arg(&image.0).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("No errors were found"), "{said}");
        }
        Err(_) => println!("SKIPPED: no qemu-img to check with"),
    }
}

#[test]
fn an_image_has_one_writer_and_an_ephemeral_layer_leaves_it_alone() {
    let image = Image::new("ephemeral", 8 << 20);
    let script = "mke2fs -q /dev/vda && echo made; sync; cat";
    let disk = image.with(",ephemeral");
    let options = [("--disk", disk.as_str())];
    let mut one = start("disk-ephemeral", script, &options);
    let mut two = start("disk-ephemeral", script, &options);
    one.expect("made");
    two.expect("made");
    let mut writer = start("disk-ephemeral", script, &[("--disk", &image.with(""))]);
    writer.expect("is in use by another machine");
    assert_eq!(writer.finish(), 2);
    let bytes = std::fs::read(&image.0).expect("our own file");
    assert!(bytes.iter().all(|&byte| byte == 0), "the image was written");
}

/// Runs the monitor with images in a file system of 12 MiB, and looks at one of them afterwards.
const FULL: &str = r#"
mount -t tmpfs -o size=12M full /mnt
"$1" disk create /mnt/raw.img 64M
"$1" disk create /mnt/image.qcow2 64M
status=0
"$@" || status=$?
qemu-img check /mnt/image.qcow2 2>&1 | grep ERROR || echo whole
exit $status
"#;

const FILL: &str = r#"
for disk in vda vdb nvme0n1; do
    [ -e /dev/$disk ] || continue
    dd if=/dev/urandom of=/dev/$disk bs=64k count=16 conv=fsync 2> /dev/null && echo "$disk holds"
    before=$(head -c 1048576 /dev/$disk | md5sum)
    dd if=/dev/zero of=/dev/$disk bs=1M seek=1 count=40 conv=fsync 2> /dev/null || echo "$disk is full"
    echo 3 > /proc/sys/vm/drop_caches
    [ "$before" = "$(head -c 1048576 /dev/$disk | md5sum)" ] && echo "$disk reads"
done
"#;

/// Every write that the host had no room for is an error, and what was written before stays.
#[test]
fn a_full_host_is_told_to_the_guest() {
    let starter = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-ec",
        FULL,
        "sh",
    ];
    let works = Command::new("unshare")
        .args([
            "--mount",
            "--map-root-user",
            "mount",
            "-t",
            "tmpfs",
            "full",
            "/mnt",
        ])
        .status();
    if !works.is_ok_and(|status| status.success()) {
        println!("SKIPPED: `unshare --mount` is not allowed here");
        return;
    }
    for disks in [
        ["/mnt/image.qcow2", "/mnt/raw.img"],
        ["/mnt/raw.img,bus=nvme", "/mnt/image.qcow2"],
    ] {
        let options = disks.map(|disk| ("--disk", disk));
        let mut guest = start_in(&starter, "disk-full", FILL, &options);
        let first = if disks[0].ends_with("nvme") {
            "nvme0n1"
        } else {
            "vdb"
        };
        // The second has no room from the start.
        guest.expect("vda holds");
        guest.expect("vda is full");
        guest.expect("vda reads");
        guest.expect(&format!("{first} is full"));
        guest.expect("whole");
        assert_eq!(guest.finish(), 0);
    }
}
