//! What has a socket of the host's: found by the guest's key, and by a number when something happened to the socket.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;

/// Entries with a key and a number each.
pub(super) struct Directory<K, T> {
    entries: HashMap<u32, (K, T)>,
    numbers: HashMap<K, u32>,
    /// The number that was given last.
    last: u32,
}

impl<K, T> Default for Directory<K, T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            numbers: HashMap::new(),
            last: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, T> Directory<K, T> {
    pub(super) fn number(&self, key: &K) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// An entry with its key.
    pub(super) fn get(&mut self, number: u32) -> Option<(K, &mut T)> {
        let (key, entry) = self.entries.get_mut(&number)?;
        Some((*key, entry))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values().map(|(_, entry)| entry)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an entry, which learns its number, under a key that has none.
    pub(super) fn insert(
        &mut self,
        key: K,
        make: impl FnOnce(u32) -> io::Result<T>,
    ) -> io::Result<u32> {
        self.last = self.last.wrapping_add(1);
        let entry = make(self.last)?;
        self.entries.insert(self.last, (key, entry));
        self.numbers.insert(key, self.last);
        Ok(self.last)
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let (key, entry) = self.entries.remove(&number)?;
        self.numbers.remove(&key);
        Some(entry)
    }

    /// The entry whose `rank` is the least, among those that have one.
    pub(super) fn first<R: Ord>(&self, rank: impl Fn(&T) -> Option<R>) -> Option<u32> {
        let ranked = self.entries.iter();
        let ranked = ranked.filter_map(|(&number, (_, entry))| Some((rank(entry)?, number)));
        ranked.min().map(|(_, number)| number)
    }

    /// The entry whose `rank` is the least goes if there are `limit` already.
    pub(super) fn make_room<R: Ord>(&mut self, limit: usize, rank: impl Fn(&T) -> R) {
        if self.len() >= limit {
            let first = self.first(|entry| Some(rank(entry)));
            first.and_then(|number| self.remove(number));
        }
    }
}
