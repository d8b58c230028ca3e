//! A disk with one partition (UEFI 2.10, 5.3), as Linux takes it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const SECTOR: u64 = 512;
/// Entries of a table, and bytes of each.
const ENTRIES: u32 = 128;
const ENTRY: u32 = 128;
/// Sectors that a table takes.
const TABLE: u64 = (ENTRIES * ENTRY) as u64 / SECTOR;
/// The partition begins here, and so many bytes are behind it.
pub(crate) const MARGIN: u64 = 1 << 20;
/// The kinds of a partition and of nothing: a Linux file system's data.
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// Writes the tables of a disk whose partition has `len` bytes.
pub(crate) fn write(disk: &File, len: u64) -> io::Result<()> {
    let sectors = (len + 2 * MARGIN) / SECTOR;
    disk.set_len(sectors * SECTOR)?;
    let mut table = vec![0; (TABLE * SECTOR) as usize];
    table[..16].copy_from_slice(&LINUX);
    table[16..32].copy_from_slice(b"suzerain's tests");
    table[32..40].copy_from_slice(&(MARGIN / SECTOR).to_le_bytes());
    table[40..48].copy_from_slice(&((MARGIN + len) / SECTOR - 1).to_le_bytes());
    let last = sectors - 1;
    for (place, other, entries) in [(1, last, 2), (last, 1, last - TABLE)] {
        let header = header(place, other, entries, last, crc32(&table));
        disk.write_all_at(&header, place * SECTOR)?;
        disk.write_all_at(&table, entries * SECTOR)?;
    }
    // The record that keeps older programs away.
    let mut record = [0; 16];
    record[4] = 0xee;
    record[8..12].copy_from_slice(&1_u32.to_le_bytes());
    record[12..].copy_from_slice(&u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
    disk.write_all_at(&record, 446)?;
    disk.write_all_at(&[0x55, 0xaa], 510)
}

/// The header in one sector, whose copy is in another.
fn header(place: u64, other: u64, entries: u64, last: u64, crc: u32) -> Vec<u8> {
    const LEN: u32 = 92;
    let mut header = b"EFI PART".to_vec();
    for word in [0x1_0000, LEN, 0, 0] {
        header.extend(u32::to_le_bytes(word));
    }
    for word in [place, other, 2 + TABLE, last - TABLE - 1] {
        header.extend(word.to_le_bytes());
    }
    header.extend(b"a disk for tests");
    header.extend(entries.to_le_bytes());
    for word in [ENTRIES, ENTRY, crc] {
        header.extend(word.to_le_bytes());
    }
    let crc = crc32(&header);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    header
}

/// CRC-32 as Ethernet has it.
fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        (0..8).fold(crc ^ u32::from(*byte), step)
    };
    !bytes.iter().fold(u32::MAX, fold)
}
