//! The kernel that an installed system would start.

use std::cmp::Ordering;

use super::grub;
use super::volume::Volume;

/// Where grub's configuration is, on a root or on a volume of kernels alone.
const GRUB: [&str; 4] = [
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/grub/grub.cfg",
    "/grub2/grub.cfg",
];
/// No configuration is longer.
const GRUB_MAX: u64 = 4 << 20;

/// Links that a system keeps to its newest kernel and that one's initial RAM disk.
const LINKS: [(&str, &str); 4] = [
    ("/vmlinuz", "/initrd.img"),
    ("/boot/vmlinuz", "/boot/initrd.img"),
    ("/boot/vmlinuz", "/boot/initrd"),
    ("/boot/vmlinuz-linux", "/boot/initramfs-linux.img"),
];

/// Files on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) kernel: String,
    pub(super) initrds: Vec<String>,
    /// The command line, as far as it is known.
    pub(super) arguments: String,
}

impl Installed {
    /// What the volume would start: grub's first entry, else what the links lead to, else the newest kernel.
    pub(super) fn find(volume: &Volume) -> Result<Option<Self>, String> {
        for path in GRUB {
            if !volume.has_file(path) {
                continue;
            }
            let text = volume.read(path, GRUB_MAX)?;
            let entry = grub::first_entry(&String::from_utf8_lossy(&text));
            if let Some(entry) = entry.filter(|entry| is_whole(volume, entry)) {
                return Ok(Some(entry));
            }
        }
        let plain = |kernel: &str, initrd: &str| Self {
            kernel: kernel.to_owned(),
            initrds: vec![initrd.to_owned()],
            arguments: String::new(),
        };
        let linked = LINKS.map(|(kernel, initrd)| plain(kernel, initrd));
        if let Some(found) = linked.into_iter().find(|found| is_whole(volume, found)) {
            return Ok(Some(found));
        }
        let newest = ["/boot", "/"]
            .iter()
            .find_map(|folder| newest(volume, folder));
        Ok(newest)
    }
}

/// Whether all files are there.
fn is_whole(volume: &Volume, found: &Installed) -> bool {
    let all = std::iter::once(&found.kernel).chain(&found.initrds);
    all.into_iter().all(|path| volume.has_file(path))
}

/// The newest kernel of a folder: one with an initial RAM disk, if there is any.
fn newest(volume: &Volume, folder: &str) -> Option<Installed> {
    let names = volume.names(folder);
    let has = |name: &String| names.contains(name);
    let kernels = names.iter().filter_map(|name| {
        let version = name.strip_prefix("vmlinuz-")?;
        let initrd = [
            format!("initrd.img-{version}"),
            format!("initramfs-{version}.img"),
            format!("initrd-{version}"),
        ];
        Some((initrd.into_iter().find(has), version, name))
    });
    let folder = folder.trim_end_matches('/');
    let newest = kernels
        .max_by(|(one, a, _), (two, b, _)| one.is_some().cmp(&two.is_some()).then(compare(a, b)));
    newest.map(|(initrd, _, name)| Installed {
        kernel: format!("{folder}/{name}"),
        initrds: initrd
            .iter()
            .map(|name| format!("{folder}/{name}"))
            .collect(),
        arguments: String::new(),
    })
}

/// Compares versions: runs of digits as numbers, all else byte by byte.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some(one), Some(two)) = (a.first(), b.first()) {
        if one.is_ascii_digit() && two.is_ascii_digit() {
            let (x, y) = (number(&mut a), number(&mut b));
            match x.len().cmp(&y.len()).then_with(|| x.cmp(y)) {
                Ordering::Equal => continue,
                different => return different,
            }
        }
        match one.cmp(two) {
            Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
            different => return different,
        }
    }
    a.len().cmp(&b.len())
}

/// Takes a run of digits, without the zeros that it starts with.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    &digits[zeros..]
}
