//! Initramfs archives: cpio in the "newc" format, as Linux describes it in its `buffer-format` document.
//!
//! Times are zero and inode numbers count up, so equal content makes equal bytes.

use std::collections::BTreeSet;

/// The name of the entry that ends every archive.
const TRAILER: &str = "TRAILER!!!";

/// The last bytes of every archive: the trailer's name with its zero, and padding.
pub(crate) const END: [u8; 14] = *b"TRAILER!!!\0\0\0\0";

const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An archive under construction.
///
/// Paths are relative to the root and have no leading `/`; the folders above a path are made as needed.
/// A path that is given twice is unpacked twice, so the later one wins.
#[derive(Debug, Clone, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

/// What one header says; sizes and links follow from it.
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    device: (u32, u32),
    content: &'a [u8],
}

impl Initramfs {
    /// An empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder, open to all for reading.
    #[must_use]
    pub fn folder(mut self, path: &str) -> Self {
        self.parents(&format!("{path}/"));
        self
    }

    /// A regular file with these permission bits.
    ///
    /// # Panics
    /// With 4 GiB of content or more, which the format has no room for.
    #[must_use]
    pub fn file(self, path: &str, permissions: u32, content: &[u8]) -> Self {
        self.entry(&Entry {
            path,
            mode: REGULAR | permissions,
            device: (0, 0),
            content,
        })
    }

    /// A symbolic link to `target`.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(&Entry {
            path,
            mode: SYMLINK | 0o777,
            device: (0, 0),
            content: target.as_bytes(),
        })
    }

    /// A character device.
    #[must_use]
    pub fn device(self, path: &str, permissions: u32, major: u32, minor: u32) -> Self {
        self.entry(&Entry {
            path,
            mode: CHARACTER_DEVICE | permissions,
            device: (major, minor),
            content: &[],
        })
    }

    /// What `other` holds after what this one holds; the later one of equal paths wins.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.bytes.extend_from_slice(&other.bytes);
        self.entries += other.entries;
        self.folders.extend(other.folders.iter().cloned());
        self
    }

    /// The archive.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut whole = Self {
            bytes: Vec::with_capacity(self.bytes.len() + 2 * TRAILER.len() + 110),
            ..Self::default()
        };
        whole.bytes.extend_from_slice(&self.bytes);
        whole.entries = self.entries;
        whole.append(&Entry {
            path: TRAILER,
            mode: 0,
            device: (0, 0),
            content: &[],
        });
        whole.bytes
    }

    fn entry(mut self, entry: &Entry<'_>) -> Self {
        self.parents(entry.path);
        self.append(entry);
        self
    }

    /// Makes every folder above `path` that is not there yet.
    fn parents(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            if self.folders.insert(path[..end].to_owned()) {
                self.append(&Entry {
                    path: &path[..end],
                    mode: DIRECTORY | 0o755,
                    device: (0, 0),
                    content: &[],
                });
            }
        }
    }

    fn append(&mut self, entry: &Entry<'_>) {
        let length =
            |bytes: usize| u32::try_from(bytes).expect("an initramfs file is smaller than 4 GiB");
        self.entries += 1;
        let links = if entry.mode & DIRECTORY == DIRECTORY {
            2
        } else {
            1
        };
        // inode, mode, uid, gid, links, time, size, device of the archive (2), device (2), name's size, checksum
        let (major, minor) = entry.device;
        let size = length(entry.content.len());
        let name = length(entry.path.len() + 1);
        let fields = [
            self.entries,
            entry.mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            major,
            minor,
            name,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(entry.path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(entry.content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests;
