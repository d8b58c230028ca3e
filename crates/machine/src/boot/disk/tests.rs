use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::boot::bytes::put;

const MIB: usize = 1 << 20;

/// A disk in memory.
struct Memory(Vec<u8>);

impl Disk for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        to.copy_from_slice(&self.0[at as usize..at as usize + to.len()]);
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

fn disk(bytes: Vec<u8>) -> Arc<dyn Disk> {
    Arc::new(Memory(bytes))
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("suz-boot-disk-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An ext4 file system with these files, where a target that starts with `->` makes a symbolic link; `None`, said
/// aloud, where the host can't make one.
fn ext4(files: &[(&str, &str)]) -> Option<Vec<u8>> {
    let folder = Folder::new();
    let root = folder.0.join("root");
    for (path, text) in files {
        let path = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("->") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => std::fs::write(path, text).unwrap(),
        }
    }
    let image = folder.0.join("image");
    let mut make = Command::new("mke2fs");
    make.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    make.args(["-q", "-t", "ext4", "-U", UUID, "-d"]).arg(&root);
    match make.arg(&image).arg("4M").status() {
        Ok(status) if status.success() => Some(std::fs::read(image).unwrap()),
        _ => {
            println!("SKIPPED: no mke2fs that can fill a file system");
            None
        }
    }
}

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn words(found: &Found) -> (String, Option<String>, &str) {
    let text = |blob: &Blob| String::from_utf8(blob.head(1 << 20).unwrap()).unwrap();
    (
        text(&found.kernel),
        found.initrd.as_ref().map(text),
        &found.append,
    )
}

fn refusal(bytes: Vec<u8>) -> String {
    let line = find(&disk(bytes), "/dev/vda").unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

/// A disk with partitions of GPT: first sector and bytes of each, and a number in its GUID.
fn gpt(parts: &[(usize, &[u8], u8)]) -> Vec<u8> {
    let mut bytes = vec![0; 16 * MIB];
    put(&mut bytes, 510, &[0x55, 0xaa]);
    bytes[446 + 4] = 0xee;
    put(&mut bytes, 512, b"EFI PART");
    put(&mut bytes, 512 + 72, &2_u64.to_le_bytes());
    put(&mut bytes, 512 + 80, &[128, 0, 0, 0, 128, 0, 0, 0]);
    for (index, (start, content, id)) in parts.iter().enumerate() {
        let entry = 1024 + 128 * index;
        put(&mut bytes, entry, &[0xaf; 16]);
        bytes[entry + 16] = *id;
        put(&mut bytes, entry + 32, &(*start as u64).to_le_bytes());
        let last = start + content.len() / 512 - 1;
        put(&mut bytes, entry + 40, &(last as u64).to_le_bytes());
        put(&mut bytes, start * 512, content);
    }
    bytes
}

#[test]
fn an_unpartitioned_disk_starts_what_its_links_lead_to() {
    let files = [
        ("/vmlinuz", "->boot/vmlinuz-6.1.0-9"),
        ("/initrd.img", "->boot/initrd.img-6.1.0-9"),
        ("/boot/vmlinuz-6.1.0-9", "nine"),
        ("/boot/initrd.img-6.1.0-9", "its initrd"),
        ("/boot/vmlinuz-6.1.0-10", "ten, half installed"),
        ("/etc/fstab", ""),
    ];
    let Some(image) = ext4(&files) else { return };
    let found = find(&disk(image), "/dev/vda").unwrap();
    let root = format!("root=UUID={UUID} ro");
    let initrd = Some("its initrd".to_owned());
    assert_eq!(words(&found), ("nine".into(), initrd, &*root));
}

#[test]
fn without_links_the_newest_kernel_with_an_initrd_starts() {
    let files = [
        ("/boot/vmlinuz-6.1.0-9", "nine"),
        ("/boot/initrd.img-6.1.0-9", "initrd of nine"),
        ("/boot/vmlinuz-6.1.0-10", "ten"),
        ("/boot/initrd.img-6.1.0-10", "initrd of ten"),
        ("/boot/vmlinuz-6.1.0-11", "eleven"),
        ("/vmlinuz", "->boot/vmlinuz-6.1.0-12"),
    ];
    let Some(image) = ext4(&files) else { return };
    let found = find(&disk(image), "/dev/vda").unwrap();
    assert_eq!(words(&found).0, "ten");
}

#[test]
fn a_kernel_alone_is_told_its_partition() {
    let Some(image) = ext4(&[("/boot/vmlinuz-1", "one"), ("/etc/fstab", "")]) else {
        return;
    };
    let found = find(&disk(image.clone()), "/dev/vda").unwrap();
    assert_eq!(words(&found), ("one".into(), None, "root=/dev/vda ro"));
    let found = find(&disk(gpt(&[(2048, &image, 7)])), "/dev/vda").unwrap();
    let root = "root=PARTUUID=00000007-0000-0000-0000-000000000000 ro";
    assert_eq!(words(&found).2, root);
}

#[test]
fn kernels_on_a_partition_of_their_own_find_the_root_beside_them() {
    let config = "set x=quiet\nmenuentry 'one' {\n\tlinux ($root)/vmlinuz-1 a=\"b c\" $x $y\n\
                  \tinitrd /microcode /initrd.img-1\n}\nmenuentry two { linux /vmlinuz-2\n}\n";
    let kernels = ext4(&[
        ("/grub/grub.cfg", config),
        ("/vmlinuz-1", "one"),
        ("/vmlinuz-2", "two"),
        ("/initrd.img-1", "initrd"),
        ("/microcode", "odd"),
    ]);
    let (Some(kernels), Some(root)) = (kernels, ext4(&[("/etc/fstab", "")])) else {
        return;
    };
    let image = gpt(&[(2048, &kernels, 1), (16384, &root, 2)]);
    let found = find(&disk(image), "/dev/vda").unwrap();
    let append = format!("root=UUID={UUID} ro a=b c quiet");
    let initrd = Some("odd\0initrd".to_owned());
    assert_eq!(words(&found), ("one".into(), initrd, &*append));
}

#[test]
fn the_partitions_of_a_master_boot_record_count() {
    let mut bytes = vec![0; 8 * MIB];
    put(&mut bytes, 510, &[0x55, 0xaa]);
    put(&mut bytes, 440, &0x1234_abcd_u32.to_le_bytes());
    let mut entry = |table: usize, index: usize, kind: u8, first: u32, count: u32| {
        let at = table * 512 + 446 + 16 * index;
        bytes[at + 4] = kind;
        put(&mut bytes, at + 8, &first.to_le_bytes());
        put(&mut bytes, at + 12, &count.to_le_bytes());
        put(&mut bytes, table * 512 + 510, &[0x55, 0xaa]);
    };
    entry(0, 0, 0x83, 2048, 1024);
    entry(0, 1, 0x05, 4096, 4096);
    entry(4096, 0, 0x83, 8, 16);
    entry(4096, 1, 0x05, 1024, 1024);
    entry(5120, 0, 0x83, 8, 1 << 30);
    let found = partition::list(&Memory(bytes)).unwrap();
    let all: Vec<_> = found
        .iter()
        .map(|part| {
            (
                part.number,
                part.start / 512,
                part.len / 512,
                part.id.as_deref(),
            )
        })
        .collect();
    let expected = [
        (1, 2048, 1024, Some("1234abcd-01")),
        (5, 4104, 16, Some("1234abcd-05")),
        (6, 5128, 16384 - 5128, Some("1234abcd-06")),
    ];
    assert_eq!(all, expected);
}

#[test]
fn tables_that_contradict_themselves_end() {
    // An extended partition whose chain leads back to itself.
    let mut bytes = vec![0; MIB];
    for table in [0, 64] {
        put(&mut bytes, table * 512 + 510, &[0x55, 0xaa]);
        let at = table * 512 + 446 + 16 * usize::from(table != 0);
        bytes[at + 4] = 0x05;
        put(
            &mut bytes,
            at + 8,
            &if table == 0 { 64_u32 } else { 0 }.to_le_bytes(),
        );
    }
    assert_eq!(partition::list(&Memory(bytes)).unwrap(), []);
    let mut wild = gpt(&[]);
    put(&mut wild, 512 + 72, &[0xff; 16]);
    assert!(refusal(wild).contains("no file system"));
}

#[test]
fn what_is_there_instead_is_told_in_one_line() {
    let mut encrypted = vec![0; MIB];
    put(&mut encrypted, 0, b"LUKS\xba\xbe");
    let mut btrfs = vec![0; MIB];
    put(&mut btrfs, 0x1_0040, b"_BHRfS_M");
    let line = refusal(gpt(&[(2048, &encrypted, 1), (8192, &btrfs, 2)]));
    assert!(
        line.contains("an encrypted volume (LUKS) on partition 1, btrfs on partition 2"),
        "{line}"
    );
    let line = refusal(btrfs);
    assert!(line.contains("it has btrfs; a kernel on ext4"), "{line}");
    assert!(refusal(vec![0; 4096]).contains("no file system"));
    let mut damaged = vec![0; MIB];
    put(&mut damaged, 0x438, &[0x53, 0xef]);
    assert!(refusal(damaged).contains("ext4 that can't be read"));
    if let Some(empty) = ext4(&[("/etc/fstab", "")]) {
        assert!(refusal(empty).contains("ext4 without a kernel"));
    }
}

#[test]
fn versions_are_in_order() {
    let mut versions = [
        "6.1.0-10",
        "5.10.0-40",
        "6.1.0-9",
        "6.1.0-09a",
        "6.12",
        "6.1",
    ];
    versions.sort_by(|a, b| installed::compare(a, b));
    assert_eq!(
        versions,
        [
            "5.10.0-40",
            "6.1",
            "6.1.0-9",
            "6.1.0-09a",
            "6.1.0-10",
            "6.12"
        ]
    );
}

#[test]
fn grubs_first_entry_is_read() {
    let debian = "### BEGIN /etc/grub.d/10_linux ###\nfunction gfxmode {\n\tset gfxpayload=\"${1}\"\n}\n\
        menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple' {\n\
        \tload_video\n\tif [ x$grub_platform = xxen ]; then insmod xzio; fi\n\
        \tsearch --no-floppy --fs-uuid --set=root 1c3c\n\techo\t'Loading Linux ...'\n\
        \tlinux\t/boot/vmlinuz-6.1.0-1-amd64 root=PARTUUID=1c3c ro  console=tty0 \\\n console=ttyS0,115200\n\
        \techo 'Loading initial ramdisk ...'\n\tinitrd\t/boot/initrd.img-6.1.0-1-amd64\n}\n\
        submenu 'Advanced' { menuentry 'x' {\n linux /boot/old\n initrd /boot/old\n }\n}";
    let entry = grub::first_entry(debian).unwrap();
    assert_eq!(entry.kernel, "/boot/vmlinuz-6.1.0-1-amd64");
    assert_eq!(entry.initrds, ["/boot/initrd.img-6.1.0-1-amd64"]);
    let arguments = "root=PARTUUID=1c3c ro console=tty0 console=ttyS0,115200";
    assert_eq!(entry.arguments, arguments);
    assert_eq!(grub::first_entry("set x=1\nlinux /not/in/a/menu\n"), None);
    assert_eq!(grub::first_entry("menuentry x {\n blscfg\n}"), None);
    let bare =
        grub::first_entry("menuentry x {\n linux (hd0,1)/k 'a b'\n}\nmenuentry y {\ninitrd /z\n}");
    let bare = bare.unwrap();
    assert_eq!((&*bare.kernel, &*bare.arguments), ("/k", "a b"));
    assert!(bare.initrds.is_empty());
}
