//! What the guest has open.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::{Share, lock};

/// An open file, or folder.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) fd: OwnedFd,
    /// For folders: held while the position is moved and read from.
    pub(super) position: Option<Mutex<()>>,
}

/// The handles.
#[derive(Debug)]
pub(super) struct Handles {
    list: HashMap<u64, Arc<Handle>>,
    next: u64,
    max: usize,
}

impl Handles {
    pub(super) fn new(max: u64) -> Self {
        Self {
            list: HashMap::new(),
            next: 1,
            max: usize::try_from(max).unwrap_or(usize::MAX).max(16),
        }
    }

    fn add(&mut self, handle: Handle) -> Result<u64, Errno> {
        if self.list.len() >= self.max {
            return Err(Errno::NFILE);
        }
        let number = self.next;
        self.next += 1;
        self.list.insert(number, Arc::new(handle));
        Ok(number)
    }

    /// Closes a handle, once nobody uses it any more.
    pub(super) fn close(&mut self, number: u64) {
        self.list.remove(&number);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }
}

impl Share {
    pub(super) fn handle(&self, number: u64) -> Result<Arc<Handle>, Errno> {
        let handles = lock(&self.handles);
        handles.list.get(&number).cloned().ok_or(Errno::BADF)
    }

    /// An open file.
    pub(super) fn file(&self, number: u64) -> Result<Arc<Handle>, Errno> {
        let handle = self.handle(number)?;
        if handle.position.is_none() {
            Ok(handle)
        } else {
            Err(Errno::ISDIR)
        }
    }

    /// What an answer says of a new handle.
    pub(super) fn opened(&self, fd: OwnedFd, is_folder: bool) -> Result<Vec<u8>, Errno> {
        let handle = Handle {
            fd,
            position: is_folder.then(Mutex::default),
        };
        let number = lock(&self.handles).add(handle)?;
        let mut bytes = number.to_ne_bytes().to_vec();
        bytes.resize(16, 0);
        Ok(bytes)
    }
}
