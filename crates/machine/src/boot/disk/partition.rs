//! Partition tables: GPT (UEFI 2.10, 5.3), MBR with its extended partitions, or none at all.

use std::io;

use iface::Disk;

use crate::boot::bytes::{u16, u32, u64};

const SECTOR: u64 = 512;
/// No disk has more that a system could be on.
const MOST: u32 = 256;

/// A part of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    /// From 1; 0 is the whole disk.
    pub(super) number: u32,
    /// First byte.
    pub(super) start: u64,
    /// Bytes.
    pub(super) len: u64,
    /// What Linux calls its PARTUUID.
    pub(super) id: Option<String>,
}

/// The partitions of a disk; the whole disk where it has no table.
pub(super) fn list(disk: &dyn Disk) -> io::Result<Vec<Partition>> {
    let whole = Partition {
        number: 0,
        start: 0,
        len: disk.len(),
        id: None,
    };
    let first = sector(disk, 0)?;
    if u16(&first, 510) != Some(0xaa55) {
        return Ok(vec![whole]);
    }
    let records = records(&first);
    // A file system's own boot sector has the same signature, and anything where the table would be.
    let is_table = |record: &Record| record.flag & 0x7f == 0;
    if !records.iter().all(is_table) || records.iter().all(|record| record.kind == 0) {
        return Ok(vec![whole]);
    }
    if records.iter().any(|record| record.kind == Record::GPT) {
        let last = (disk.len() / SECTOR).saturating_sub(1);
        for at in [1, last] {
            let found = gpt(disk, at)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        return Ok(Vec::new());
    }
    mbr(disk, &first, &records)
}

/// A sector; zeros where the disk has none.
fn sector(disk: &dyn Disk, at: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; SECTOR as usize];
    let end = at.checked_add(1).and_then(|end| end.checked_mul(SECTOR));
    if end.is_some_and(|end| end <= disk.len()) {
        disk.read(at * SECTOR, &mut bytes)?;
    }
    Ok(bytes)
}

/// A partition from sector `first`, of `count` sectors, as far as it is inside of the disk.
fn partition(
    disk: &dyn Disk,
    number: u32,
    first: u64,
    count: u64,
    id: String,
) -> Option<Partition> {
    let start = first.checked_mul(SECTOR).filter(|&at| at < disk.len())?;
    let len = count.saturating_mul(SECTOR).min(disk.len() - start);
    (first > 0 && len > 0).then_some(Partition {
        number,
        start,
        len,
        id: Some(id),
    })
}

/// The partitions of the GPT whose header is in sector `at`; none where there is no such header.
fn gpt(disk: &dyn Disk, at: u64) -> io::Result<Vec<Partition>> {
    let header = sector(disk, at)?;
    let (table, count, size) = (u64(&header, 72), u32(&header, 80), u32(&header, 84));
    let (Some(table), Some(count), Some(size)) = (table, count, size) else {
        return Ok(Vec::new());
    };
    let size = u64::from(size);
    if !header.starts_with(b"EFI PART") || !(128..=4096).contains(&size) {
        return Ok(Vec::new());
    }
    let mut partitions = Vec::new();
    for index in 0..count.min(MOST) {
        let offset = u64::from(index) * size;
        let place = table
            .checked_mul(SECTOR)
            .and_then(|at| at.checked_add(offset));
        let Some(place) = place.filter(|&at| at.saturating_add(size) <= disk.len()) else {
            break;
        };
        let mut entry = [0; 128];
        disk.read(place, &mut entry)?;
        let (first, last) = (u64(&entry, 32), u64(&entry, 40));
        let (Some(first), Some(last)) = (first, last) else {
            break;
        };
        if entry[..16].iter().all(|&byte| byte == 0) || last < first {
            continue;
        }
        let count = (last - first).saturating_add(1);
        partitions.extend(partition(
            disk,
            index + 1,
            first,
            count,
            guid(&entry[16..32]),
        ));
    }
    Ok(partitions)
}

/// A GUID as Linux writes it: the first three fields are little-endian.
fn guid(bytes: &[u8]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::new();
    for (place, &index) in ORDER.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text += &format!("{:02x}", bytes[index]);
    }
    text
}

/// An entry of a master boot record.
struct Record {
    flag: u8,
    kind: u8,
    first: u64,
    count: u64,
}

impl Record {
    const GPT: u8 = 0xee;

    fn is_extended(&self) -> bool {
        [0x05, 0x0f, 0x85].contains(&self.kind)
    }
}

fn records(sector: &[u8]) -> Vec<Record> {
    let record = |entry: &[u8]| Record {
        flag: entry[0],
        kind: entry[4],
        first: u32(entry, 8).unwrap_or(0).into(),
        count: u32(entry, 12).unwrap_or(0).into(),
    };
    sector[446..510].chunks_exact(16).map(record).collect()
}

fn mbr(disk: &dyn Disk, first: &[u8], records: &[Record]) -> io::Result<Vec<Partition>> {
    let signature = u32(first, 440).unwrap_or(0);
    let id = |number: u32| format!("{signature:08x}-{number:02x}");
    let mut partitions = Vec::new();
    let mut logical = 5;
    for (number, record) in (1..).zip(records) {
        if !record.is_extended() {
            let (first, count) = (record.first, record.count);
            let known = record.kind != 0;
            partitions.extend(
                known
                    .then(|| partition(disk, number, first, count, id(number)))
                    .flatten(),
            );
            continue;
        }
        // A chain of records, each with one partition and the next record.
        let mut at = record.first;
        while logical < MOST && at != 0 {
            let sector = sector(disk, at)?;
            if u16(&sector, 510) != Some(0xaa55) {
                break;
            }
            let inner = self::records(&sector);
            let (one, next) = (&inner[0], &inner[1]);
            if one.kind != 0 {
                let first = at.saturating_add(one.first);
                partitions.extend(partition(disk, logical, first, one.count, id(logical)));
            }
            logical += 1;
            if !next.is_extended() {
                break;
            }
            at = record.first.saturating_add(next.first);
        }
    }
    Ok(partitions)
}
