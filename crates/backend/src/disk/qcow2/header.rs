//! The header of a qcow2 image (QEMU's `docs/interop/qcow2.txt`): what has to be known before it is used.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk::Format;

/// Bytes that are looked at.
const LEN: usize = 64 << 10;
/// Extension: format of the image below.
const BELOW_FORMAT: u32 = 0xe279_2aca;

/// Incompatible features: reference counts are stale; metadata is damaged.
const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
/// Those whose meaning is known here, and what to call the others.
const NAMED: [(u64, &str); 3] = [
    (1 << 2, "an external data file"),
    (1 << 3, "a compression other than zlib"),
    (1 << 4, "extended L2 entries"),
];

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Bytes of the disk.
    pub size: u64,
    /// Snapshots inside of the image.
    pub snapshots: u32,
    /// The image below: path as written, and its format.
    pub below: Option<(String, Option<String>)>,
    encryption: u32,
    incompatible: u64,
}

fn double(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    u32::from_be_bytes(bytes.unwrap_or_default())
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    u64::from(double(bytes, at)) << 32 | u64::from(double(bytes, at + 4))
}

impl Header {
    /// First bytes of an image.
    pub const MAGIC: &[u8] = b"QFI\xfb";

    /// Reads the header of a file; `None` when it is no such image.
    ///
    /// # Errors
    /// Those of the host.
    pub fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; LEN];
        let mut len = 0;
        while len < bytes.len() {
            match file.read_at(&mut bytes[len..], len as u64)? {
                0 => break,
                count => len += count,
            }
        }
        bytes.truncate(len);
        Ok(Self::parse(&bytes))
    }

    /// Parses the start of a file.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let version = double(bytes, 4);
        if !bytes.starts_with(Self::MAGIC) || bytes.len() < 72 || !(2..=3).contains(&version) {
            return None;
        }
        let (incompatible, len) = if version == 2 {
            (0, 72)
        } else {
            (quad(bytes, 72), double(bytes, 100) as usize)
        };
        let (at, path_len) = (quad(bytes, 8), double(bytes, 16) as usize);
        let path = usize::try_from(at).ok().filter(|&at| at != 0);
        let path = path.and_then(|at| bytes.get(at..at.checked_add(path_len)?));
        let path = path.map(|path| String::from_utf8_lossy(path).into_owned());
        Some(Self {
            version,
            cluster: 1_u64.checked_shl(double(bytes, 20)).unwrap_or(0),
            size: quad(bytes, 24),
            snapshots: double(bytes, 60),
            below: path.map(|path| (path, below_format(bytes, len))),
            encryption: double(bytes, 32),
            incompatible,
        })
    }

    /// Whether the image can be read, or written; if not, why, and what to do.
    pub(crate) fn check(&self, writing: bool) -> Result<(), String> {
        let convert = "qemu-img convert -O qcow2 makes one that works";
        if !(512..=2 << 20).contains(&self.cluster) {
            return Err(format!(
                "has clusters of {} bytes: it is damaged",
                self.cluster
            ));
        }
        if self.encryption != 0 {
            return Err(format!("is encrypted, which is not supported; {convert}"));
        }
        let mut unknown = self.incompatible & !(DIRTY | CORRUPT);
        for (bit, name) in NAMED {
            if self.incompatible & bit != 0 {
                return Err(format!("uses {name}, which is not supported; {convert}"));
            }
            unknown &= !bit;
        }
        if unknown != 0 {
            return Err(format!("uses unknown features ({unknown:#x}); {convert}"));
        }
        if writing && self.incompatible & (DIRTY | CORRUPT) != 0 {
            return Err(
                "was not closed well; mend it by qemu-img check -r all, or open it ro".into(),
            );
        }
        if writing && self.snapshots != 0 {
            return Err(
                "has snapshots inside, which only reading respects; open it ro or ephemeral".into(),
            );
        }
        Ok(())
    }

    /// The image below an image at `path`, and its format.
    pub(crate) fn below(&self, path: &Path) -> Result<Option<(PathBuf, Format)>, String> {
        let Some((name, format)) = &self.below else {
            return Ok(None);
        };
        let is_address = name.starts_with("json:") || name.contains("://");
        if name.is_empty() || is_address {
            return Err(format!("lies over '{name}', which is no file"));
        }
        let format = format.as_deref().ok_or_else(|| {
            format!("does not say which format {name} below has; say it by qemu-img rebase -u -F")
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Some((folder.join(name), format.parse()?)))
    }
}

/// The extension that tells the format of the image below.
fn below_format(bytes: &[u8], start: usize) -> Option<String> {
    let mut at = start;
    loop {
        let (kind, len) = (double(bytes, at), double(bytes, at + 4) as usize);
        let data = bytes.get(at + 8..(at + 8).checked_add(len)?)?;
        match kind {
            0 => return None,
            BELOW_FORMAT => return Some(String::from_utf8_lossy(data).into_owned()),
            _ => at = at + 8 + len.next_multiple_of(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        let mut bytes = vec![0; 256];
        bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        bytes[23] = 16;
        bytes[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
        bytes[103] = 104;
        bytes
    }

    #[test]
    fn a_plain_header_is_read() {
        let header = Header::parse(&bytes()).unwrap();
        assert_eq!(
            (header.version, header.cluster, header.size),
            (3, 65536, 1 << 30)
        );
        assert_eq!(
            (header.check(true), header.below(Path::new("x"))),
            (Ok(()), Ok(None))
        );
        assert_eq!(Header::parse(&bytes()[..70]), None);
        assert_eq!(Header::parse(b"RAW"), None);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        let with = |at: usize, value: u8| {
            let mut bytes = bytes();
            bytes[at] = value;
            Header::parse(&bytes).unwrap()
        };
        assert!(with(35, 1).check(false).unwrap_err().contains("encrypted"));
        assert!(
            with(79, 4)
                .check(false)
                .unwrap_err()
                .contains("external data file")
        );
        assert!(
            with(79, 8)
                .check(false)
                .unwrap_err()
                .contains("compression")
        );
        assert!(with(78, 1).check(false).unwrap_err().contains("unknown"));
        assert!(with(79, 1).check(false).is_ok());
        assert!(
            with(79, 1)
                .check(true)
                .unwrap_err()
                .contains("qemu-img check")
        );
        assert!(with(63, 1).check(true).unwrap_err().contains("snapshots"));
    }

    #[test]
    fn the_image_below_is_found_beside() {
        let mut bytes = bytes();
        bytes[104..112].copy_from_slice(&[0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, 5]);
        bytes[112..117].copy_from_slice(b"qcow2");
        bytes[15] = 200;
        bytes[19] = 4;
        bytes[200..204].copy_from_slice(b"base");
        let header = Header::parse(&bytes).unwrap();
        let below = header.below(Path::new("/images/top")).unwrap();
        assert_eq!(below, Some(("/images/base".into(), Format::Qcow2)));
        bytes[104] = 0;
        let error = Header::parse(&bytes).unwrap().below(Path::new("top"));
        assert!(error.unwrap_err().contains("does not say which format"));
        bytes[200..204].copy_from_slice(b"a://");
        assert!(
            Header::parse(&bytes)
                .unwrap()
                .below(Path::new("top"))
                .unwrap_err()
                .contains("no file")
        );
    }

    #[test]
    fn no_bytes_upset_the_parser() {
        let mut seed = 1_u64;
        for round in 0..20_000_usize {
            let mut bytes = bytes();
            bytes.truncate(round % 257);
            for _ in 0..round % 9 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = 8 + (seed >> 40) as usize % 200;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = (seed >> 33) as u8;
                }
            }
            if let Some(header) = Header::parse(&bytes) {
                let _ = (header.check(true), header.below(Path::new("x")));
            }
        }
    }
}
