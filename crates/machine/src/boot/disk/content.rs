//! What a partition holds, by the marks that file systems leave.

use std::io;

use iface::Disk;

use super::partition::Partition;

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// ext2, ext3 or ext4.
    Ext,
    /// Something else, by its name.
    Other(&'static str),
    /// No mark that is known.
    Nothing,
}

/// Offsets, marks and names.
const MARKS: [(usize, &[u8], &str); 12] = [
    (0, b"LUKS\xba\xbe", "an encrypted volume (LUKS)"),
    (0, b"XFSB", "xfs"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
    (0x218, b"LVM2 001", "an LVM volume"),
    (0x18, b"LVM2 001", "an LVM volume"),
    (3, b"NTFS    ", "NTFS"),
    (3, b"-FVE-FS-", "an encrypted volume (BitLocker)"),
    (82, b"FAT32   ", "FAT"),
    (54, b"FAT", "FAT"),
    (0, b"hsqs", "squashfs"),
    (0x8001, b"CD001", "a CD-ROM image"),
    (0xff6, b"SWAPSPACE2", "swap space"),
];
/// Offset and mark of ext2 and its successors.
const EXT: (usize, &[u8]) = (0x438, &[0x53, 0xef]);
/// Bytes that the marks are in.
const HEAD: u64 = 0x1_0048;

impl Content {
    pub(super) fn of(disk: &dyn Disk, partition: &Partition) -> io::Result<Self> {
        let mut head = vec![0; partition.len.min(HEAD) as usize];
        disk.read(partition.start, &mut head)?;
        let has = |at: usize, mark: &[u8]| head.get(at..at + mark.len()) == Some(mark);
        if has(EXT.0, EXT.1) {
            return Ok(Self::Ext);
        }
        let found = MARKS.iter().find(|(at, mark, _)| has(*at, mark));
        Ok(found.map_or(Self::Nothing, |(_, _, name)| Self::Other(name)))
    }
}
