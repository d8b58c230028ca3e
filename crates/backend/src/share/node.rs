//! What the guest knows by number.
//!
//! A guest may know more files than a process may have descriptors. Those that were used last have one; another is
//! found again by its name in its folder, and must be the same file: device and inode are compared.

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;

use super::message::{Answer, Body, Reader};
use super::{Share, attribute, descriptor_name, lock};

/// The folder's own number.
pub(super) const ROOT: u64 = 1;
/// Most nodes, with and without descriptors.
const NODES_MAX: usize = 1 << 20;
/// Most folders above each other.
const DEPTH_MAX: usize = 1 << 10;

/// How names are resolved: beneath their folder, over no link.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Device and inode of the host's.
type Key = (u64, u64);

/// A file, folder or link, named by a descriptor that nothing can be done with but naming.
#[derive(Debug)]
pub(super) struct Node {
    number: u64,
    pub(super) fd: OwnedFd,
    pub(super) kind: FileType,
}

/// Where something was found.
#[derive(Debug, Clone)]
pub(super) struct Place {
    parent: u64,
    name: CString,
}

impl Place {
    pub(super) fn new(parent: &Node, name: &CStr) -> Self {
        Self {
            parent: parent.number,
            name: name.to_owned(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    key: Key,
    /// Absent while it has no descriptor.
    node: Option<Arc<Node>>,
    /// It was used since somebody looked for descriptors that could go.
    used: bool,
    /// How often the guest was told the number.
    told: u64,
    place: Place,
    /// How many nodes were found in it, for whose sake it stays.
    children: usize,
}

/// The nodes.
#[derive(Debug)]
pub(super) struct Nodes {
    list: HashMap<u64, Entry>,
    numbers: HashMap<Key, u64>,
    next: u64,
    /// Those with descriptors, in the order in which they got them.
    open: VecDeque<u64>,
    open_max: usize,
}

impl Nodes {
    /// The root alone; so many may have descriptors.
    pub(super) fn new(root: OwnedFd, open_max: u64) -> Result<Self, Errno> {
        let stat = fstat(&root)?;
        let mut nodes = Self {
            list: HashMap::new(),
            numbers: HashMap::new(),
            next: ROOT,
            open: VecDeque::new(),
            open_max: usize::try_from(open_max).unwrap_or(usize::MAX).max(16),
        };
        let place = Place {
            parent: 0,
            name: CString::default(),
        };
        nodes.add(root, &stat, place)?;
        // It keeps its descriptor.
        nodes.open.clear();
        Ok(nodes)
    }

    /// A node with a descriptor; without, the way to it from the nearest that has one.
    fn get(&mut self, number: u64) -> Result<Result<Arc<Node>, Way>, Errno> {
        let mut way = Vec::new();
        let mut at = number;
        while way.len() < DEPTH_MAX {
            let entry = self.list.get_mut(&at).ok_or(Errno::STALE)?;
            entry.used = true;
            if let Some(node) = &entry.node {
                let node = node.clone();
                return Ok(if way.is_empty() {
                    Ok(node)
                } else {
                    Err(Way { from: node, way })
                });
            }
            way.push((at, entry.key, entry.place.name.clone()));
            at = entry.place.parent;
        }
        Err(Errno::STALE)
    }

    /// The number of what a descriptor names; the guest is told it.
    fn add(&mut self, fd: OwnedFd, stat: &Stat, place: Place) -> Result<u64, Errno> {
        let key = (stat.st_dev, stat.st_ino);
        let number = match self.numbers.get(&key) {
            Some(&number) => {
                self.place(number, place);
                number
            }
            None if self.list.len() >= NODES_MAX => return Err(Errno::NFILE),
            None => self.insert(key, place),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        self.give(Node { number, fd, kind });
        if let Some(entry) = self.list.get_mut(&number) {
            entry.told = entry.told.saturating_add(1);
        }
        Ok(number)
    }

    fn insert(&mut self, key: Key, place: Place) -> u64 {
        let number = self.next;
        self.next += 1;
        if let Some(parent) = self.list.get_mut(&place.parent) {
            parent.children += 1;
        }
        let entry = Entry {
            key,
            node: None,
            used: true,
            told: 0,
            place,
            children: 0,
        };
        self.numbers.insert(key, number);
        self.list.insert(number, entry);
        number
    }

    /// A node was found at another place than before, or the same.
    fn place(&mut self, number: u64, place: Place) {
        let Some(entry) = self.list.get_mut(&number).filter(|_| number != ROOT) else {
            return;
        };
        let old = std::mem::replace(&mut entry.place, place).parent;
        let new = entry.place.parent;
        if let Some(parent) = self.list.get_mut(&new) {
            parent.children += 1;
        }
        self.leave(old);
    }

    /// A node has one child less.
    fn leave(&mut self, parent: u64) {
        if let Some(entry) = self.list.get_mut(&parent) {
            entry.children = entry.children.saturating_sub(1);
            self.sweep(parent);
        }
    }

    /// Gives a node a descriptor, which others may have to part with.
    fn give(&mut self, node: Node) -> Arc<Node> {
        let number = node.number;
        let node = Arc::new(node);
        let Some(entry) = self.list.get_mut(&number) else {
            return node;
        };
        entry.used = true;
        if let Some(there) = &entry.node {
            return there.clone();
        }
        entry.node = Some(node.clone());
        self.open.push_back(number);
        while self.open.len() > self.open_max {
            let Some(first) = self.open.pop_front() else {
                break;
            };
            let Some(entry) = self.list.get_mut(&first) else {
                continue;
            };
            if std::mem::take(&mut entry.used) {
                self.open.push_back(first);
            } else {
                entry.node = None;
            }
        }
        node
    }

    /// The guest forgets a number that it was told so often.
    pub(super) fn forget(&mut self, number: u64, times: u64) {
        if let Some(entry) = self.list.get_mut(&number) {
            entry.told = entry.told.saturating_sub(times);
            self.sweep(number);
        }
    }

    /// Removes a node that nobody needs, and those above it that were there for its sake.
    fn sweep(&mut self, mut number: u64) {
        while let Some(entry) = self.list.get(&number)
            && number != ROOT
            && entry.told == 0
            && entry.children == 0
        {
            let (key, parent) = (entry.key, entry.place.parent);
            self.list.remove(&number);
            self.numbers.remove(&key);
            if let Some(parent) = self.list.get_mut(&parent) {
                parent.children = parent.children.saturating_sub(1);
            }
            number = parent;
        }
        // Numbers of those that went are skipped when it is their turn, but must not pile up.
        if self.open.len() > 2 * self.list.len() + 16 {
            let list = &self.list;
            self.open.retain(|number| list.contains_key(number));
        }
    }

    /// Only the root is left.
    pub(super) fn clear(&mut self) {
        self.list.retain(|&number, _| number == ROOT);
        self.numbers.retain(|_, number| *number == ROOT);
        self.open.clear();
        if let Some(root) = self.list.get_mut(&ROOT) {
            root.children = 0;
        }
    }

    #[cfg(test)]
    pub(super) fn descriptors(&self) -> usize {
        let open = |entry: &&Entry| entry.node.is_some();
        self.list.values().filter(open).count()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

/// The way to a node that has no descriptor: names below a folder that has one, the last first.
struct Way {
    from: Arc<Node>,
    way: Vec<(u64, Key, CString)>,
}

impl Share {
    pub(super) fn node(&self, number: u64) -> Result<Arc<Node>, Errno> {
        let Way { mut from, way } = match lock(&self.nodes).get(number)? {
            Ok(node) => return Ok(node),
            Err(way) => way,
        };
        for (number, key, name) in way.into_iter().rev() {
            let fd = self.find(&from, &name).map_err(|_| Errno::STALE)?;
            let stat = fstat(&fd)?;
            if (stat.st_dev, stat.st_ino) != key {
                return Err(Errno::STALE);
            }
            let kind = FileType::from_raw_mode(stat.st_mode);
            from = lock(&self.nodes).give(Node { number, fd, kind });
        }
        Ok(from)
    }

    /// A folder that the guest names something in.
    pub(super) fn parent(&self, number: u64) -> Result<Arc<Node>, Errno> {
        let node = self.node(number)?;
        if node.kind == FileType::Directory {
            Ok(node)
        } else {
            Err(Errno::NOTDIR)
        }
    }

    /// A descriptor of something in a folder, to name it.
    pub(super) fn find(&self, parent: &Node, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&parent.fd, name, flags, Mode::empty(), RESOLVE)
    }

    /// Tells the guest of something in a folder.
    pub(super) fn lookup(&self, parent: u64, name: &CStr) -> Result<Answer, Errno> {
        let parent = self.parent(parent)?;
        self.entry(&parent, name).map(Answer::Bytes)
    }

    pub(super) fn entry(&self, parent: &Node, name: &CStr) -> Result<Vec<u8>, Errno> {
        self.tell(self.find(parent, name)?, Place::new(parent, name))
    }

    /// Tells the guest of what a descriptor names.
    fn tell(&self, fd: OwnedFd, place: Place) -> Result<Vec<u8>, Errno> {
        let stat = fstat(&fd)?;
        let number = lock(&self.nodes).add(fd, &stat, place)?;
        Ok(attribute::entry(number, &stat))
    }

    /// Tells the guest of a file that was opened for it.
    pub(super) fn entry_of(&self, file: &OwnedFd, place: Place) -> Result<Vec<u8>, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let name = descriptor_name(file);
        let fd = openat(&self.descriptors, name, flags, Mode::empty())?;
        self.tell(fd, place)
    }

    /// Something was renamed: what the guest knows of it is elsewhere now.
    pub(super) fn moved(&self, parent: &Node, name: &CStr) {
        // Whoever is not found is looked up again when he is needed.
        if let Ok(fd) = self.find(parent, name)
            && let Ok(stat) = fstat(&fd)
        {
            let mut nodes = lock(&self.nodes);
            if let Some(&number) = nodes.numbers.get(&(stat.st_dev, stat.st_ino)) {
                nodes.place(number, Place::new(parent, name));
            }
        }
    }

    pub(super) fn forget_batch(&self, body: &mut Body) -> Result<Answer, Errno> {
        let head = body.take(8);
        let mut count = Reader::new(&head).u32()?;
        while count > 0 {
            let pair = body.take(16);
            let mut reader = Reader::new(&pair);
            let (number, times) = (reader.u64()?, reader.u64()?);
            lock(&self.nodes).forget(number, times);
            count -= 1;
        }
        Ok(Answer::Silent)
    }
}
