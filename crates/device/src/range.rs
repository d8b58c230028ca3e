//! A map from disjoint address ranges to what answers there.

/// A range of a [`RangeMap`].
#[derive(Debug, Clone)]
struct Entry<T> {
    first: u64,
    last: u64,
    value: T,
}

/// Disjoint ranges, sorted, found by binary search.
#[derive(Debug, Clone)]
pub(crate) struct RangeMap<T> {
    entries: Vec<Entry<T>>,
}

impl<T> Default for RangeMap<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T> RangeMap<T> {
    /// Adds `first` to `last`, inclusive. `Err` with a range that is in the way.
    pub(crate) fn insert(&mut self, first: u64, last: u64, value: T) -> Result<(), (u64, u64)> {
        let at = self.entries.partition_point(|entry| entry.last < first);
        match self.entries.get(at) {
            Some(other) if other.first <= last => Err((other.first, other.last)),
            _ => {
                self.entries.insert(at, Entry { first, last, value });
                Ok(())
            }
        }
    }

    /// Who answers at `address`, at which offset into its range, and for how many of the `length` bytes from
    /// there that holds. Never zero bytes (of at least one).
    pub(crate) fn piece(&self, address: u64, length: usize) -> (Option<(&T, u64)>, usize) {
        let at = self.entries.partition_point(|entry| entry.last < address);
        match self.entries.get(at) {
            Some(entry) if entry.first <= address => {
                let left = usize::try_from(entry.last - address).unwrap_or(usize::MAX);
                let found = (&entry.value, address - entry.first);
                (Some(found), length.min(left.saturating_add(1)))
            }
            Some(entry) => {
                let gap = usize::try_from(entry.first - address).unwrap_or(usize::MAX);
                (None, length.min(gap))
            }
            None => (None, length),
        }
    }

    /// Calls `each` for every piece of a read; what nobody answers becomes ones. The address space ends, it does
    /// not wrap.
    pub(crate) fn read(
        &self,
        address: u64,
        data: &mut [u8],
        mut each: impl FnMut(&T, u64, &mut [u8]),
    ) {
        let mut address = address;
        let mut rest = data;
        while !rest.is_empty() {
            let (found, length) = self.piece(address, rest.len());
            let (now, later) = rest.split_at_mut(length);
            match found {
                Some((value, offset)) => each(value, offset, now),
                None => now.fill(0xff),
            }
            rest = later;
            match address.checked_add(length as u64) {
                Some(next) => address = next,
                None => {
                    rest.fill(0xff);
                    break;
                }
            }
        }
    }

    /// Calls `each` for every piece of a write that somebody answers.
    pub(crate) fn write(&self, address: u64, data: &[u8], mut each: impl FnMut(&T, u64, &[u8])) {
        let mut address = address;
        let mut rest = data;
        while !rest.is_empty() {
            let (found, length) = self.piece(address, rest.len());
            let (now, later) = rest.split_at(length);
            if let Some((value, offset)) = found {
                each(value, offset, now);
            }
            rest = later;
            match address.checked_add(length as u64) {
                Some(next) => address = next,
                None => break,
            }
        }
    }
}
