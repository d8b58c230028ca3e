//! Folders: listing.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use rustix::fs::{FileType, OFlags, RawDir, SeekFrom, seek};
use rustix::io::Errno;

use super::message::{Answer, Reader};
use super::node::Node;
use super::{Share, lock};

/// Bytes of the host's entries that are read at once.
const CHUNK: usize = 32 << 10;
/// Bytes of an entry before its name; with what LOOKUP says in front of it, and so alone.
const ENTRY: usize = 24;
const LOOKED_UP: usize = 128;

impl Share {
    pub(super) fn open_folder(&self, node: u64) -> Result<Answer, Errno> {
        let node = self.parent(node)?;
        let fd = self.reopen(&node, OFlags::RDONLY | OFlags::DIRECTORY)?;
        self.opened(fd, true).map(Answer::Bytes)
    }

    /// Entries from an offset on, as many as there is room for; with what LOOKUP would say of each, if asked for.
    pub(super) fn read_folder(
        &self,
        node: u64,
        reader: &mut Reader,
        plus: bool,
        room: usize,
    ) -> Result<Answer, Errno> {
        let handle = self.handle(reader.u64()?)?;
        let (offset, size) = (reader.u64()?, reader.u32()?);
        let room = room.min(size as usize);
        let folder = self.parent(node)?;
        let position = handle.position.as_ref().ok_or(Errno::NOTDIR)?;
        let _guard = lock(position);
        seek(&handle.fd, SeekFrom::Start(offset))?;
        let mut answer = Vec::new();
        let mut chunk = vec![MaybeUninit::uninit(); CHUNK.min(room.max(1 << 10))];
        let mut entries = RawDir::new(&handle.fd, &mut chunk);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if answer.is_empty() => return Err(error),
                Err(_) => break,
            };
            let name = entry.file_name();
            let len = ENTRY + name.count_bytes().next_multiple_of(8);
            let len = if plus { LOOKED_UP + len } else { len };
            if answer.len() + len > room {
                break;
            }
            let end = answer.len() + len;
            if plus && !self.put_looked_up(&mut answer, &folder, name) {
                continue;
            }
            for long in [entry.ino(), entry.next_entry_cookie()] {
                answer.extend(long.to_ne_bytes());
            }
            let kind = kind(entry.file_type());
            for word in [name.count_bytes() as u32, kind] {
                answer.extend(word.to_ne_bytes());
            }
            answer.extend(name.to_bytes());
            answer.resize(end, 0);
        }
        Ok(Answer::Bytes(answer))
    }

    /// Puts what LOOKUP would say; `false` when the entry is gone meanwhile.
    fn put_looked_up(&self, answer: &mut Vec<u8>, folder: &Node, name: &CStr) -> bool {
        if matches!(name.to_bytes(), b"." | b"..") {
            // Number zero: the guest knows these.
            answer.resize(answer.len() + LOOKED_UP, 0);
            return true;
        }
        match self.entry(folder, name) {
            Ok(entry) => answer.extend(entry),
            Err(Errno::NOENT) => return false,
            // Somebody asks again for what can't be told now.
            Err(_) => answer.resize(answer.len() + LOOKED_UP, 0),
        }
        true
    }
}

/// The kind of an entry, as a mode's bits above the permissions.
fn kind(kind: FileType) -> u32 {
    match kind {
        FileType::Unknown => 0,
        kind => kind.as_raw_mode() >> 12,
    }
}
