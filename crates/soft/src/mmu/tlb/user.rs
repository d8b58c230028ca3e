//! Which address spaces have a table for user code.

/// How many tables there are: more than the address spaces that Linux keeps by PCID on a processor.
pub(super) const TABLES: usize = 8;

#[derive(Debug, Clone, Copy, Default)]
struct User {
    /// Zero when it is free; what it holds then is worthless.
    asn: u64,
    /// When it was last entered.
    stamp: u64,
}

/// Tables by index.
#[derive(Debug, Default)]
pub(super) struct Users {
    users: [User; TABLES],
    present: Option<usize>,
    now: u64,
}

impl Users {
    /// The present address space's table.
    pub(super) fn present(&self) -> Option<usize> {
        self.present
    }

    pub(super) fn is_used(&self, index: usize) -> bool {
        self.users[index].asn != 0
    }

    /// Enters an address space, whose table it returns when there is one.
    pub(super) fn find(&mut self, asn: u64) -> Option<usize> {
        self.present = self.users.iter().position(|user| user.asn == asn);
        self.stamp();
        self.present
    }

    /// Gives the present address space, which has none, a table: one that is free, the last used of them since its
    /// memory is in caches, or the least recently used one. The caller empties it.
    pub(super) fn choose(&mut self, asn: u64) -> usize {
        let stamp = |index: &usize| self.users[*index].stamp;
        let free = (0..TABLES)
            .rev()
            .filter(|&index| self.users[index].asn == 0);
        let index = free.max_by_key(stamp);
        let index = index.or_else(|| (0..TABLES).min_by_key(stamp)).unwrap_or(0);
        self.users[index].asn = asn;
        self.present = Some(index);
        self.stamp();
        index
    }

    fn stamp(&mut self) {
        self.now += 1;
        if let Some(index) = self.present {
            self.users[index].stamp = self.now;
        }
    }

    /// An address space is no more.
    pub(super) fn forget(&mut self, asn: u64) {
        for (index, user) in self.users.iter_mut().enumerate() {
            if asn != 0 && user.asn == asn {
                user.asn = 0;
                if self.present == Some(index) {
                    self.present = None;
                }
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.users.iter_mut().for_each(|user| user.asn = 0);
        self.present = None;
    }
}
