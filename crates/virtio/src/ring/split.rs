//! The split format (2.7): a descriptor table, a ring of available heads, a ring of used ones.

use std::sync::atomic::{Ordering, fence};

use mem::{GuestRam, Offset};

use super::{Fault, Layout, Position};
use crate::Chain;
use crate::chain::{CHAIN_MAX, DESCRIPTOR, Descriptor, INDIRECT, NEXT, table};
use crate::queue::Token;

/// Flag of either ring: the other side shall not tell.
const QUIET: u16 = 1;
/// Offset of a ring's index.
const INDEX: u64 = 2;
/// Offset of a ring's first element.
const RING: u64 = 4;

#[derive(Debug)]
pub(crate) struct Split {
    size: u16,
    event_index: bool,
    indirect: bool,
    table: Offset,
    available: Offset,
    used: Offset,
    pub(super) position: Position,
    /// Where the ring was found empty, if nothing was taken since: the driver is asked to tell from there on.
    empty_at: Option<u16>,
    /// The used index when the driver was last told.
    told: u16,
}

impl Split {
    pub(crate) fn new(ram: &GuestRam, layout: Layout, position: Position) -> Result<Self, Fault> {
        let size = u64::from(layout.size);
        if !size.is_power_of_two() {
            return Err(Fault::Index);
        }
        let table = DESCRIPTOR * size;
        Ok(Self {
            size: layout.size,
            event_index: layout.event_index,
            indirect: layout.indirect,
            table: Layout::place(ram, layout.descriptors, table, 16)?,
            available: Layout::place(ram, layout.driver, RING + 2 * size + 2, 2)?,
            used: Layout::place(ram, layout.device, RING + 8 * size + 2, 4)?,
            position,
            told: position.used,
            empty_at: None,
        })
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index & (self.size - 1))
    }

    pub(crate) fn pop(&mut self, ram: &GuestRam) -> Result<Option<Chain>, Fault> {
        let index: u16 = ram.load(self.available.add(INDEX));
        match index.wrapping_sub(self.position.available) {
            0 => {
                self.empty_at = Some(index);
                return Ok(None);
            }
            ready if ready > self.size => return Err(Fault::Index),
            _ => {}
        }
        // The index before what it announces.
        fence(Ordering::Acquire);
        let slot = self.slot(self.position.available);
        let head = ram.load(self.available.add(RING + 2 * slot));
        let mut chain = Chain::new(Token { id: head, count: 1 });
        self.walk(ram, head, &mut chain)?;
        self.position.available = self.position.available.wrapping_add(1);
        self.empty_at = None;
        Ok(Some(chain))
    }

    fn walk(&self, ram: &GuestRam, head: u16, chain: &mut Chain) -> Result<(), Fault> {
        let (mut table_at, mut size) = (self.table, u64::from(self.size));
        let mut is_indirect = false;
        let mut index = u64::from(head);
        for _ in 0..CHAIN_MAX.max(size) {
            if index >= size {
                return Err(Fault::Index);
            }
            let descriptor = Descriptor::read(ram, table_at.add(DESCRIPTOR * index));
            let flags = descriptor.mid;
            if flags & INDIRECT != 0 {
                if is_indirect || !self.indirect || flags & NEXT != 0 {
                    return Err(Fault::Indirect);
                }
                (table_at, size) = table(ram, descriptor)?;
                (is_indirect, index) = (true, 0);
                continue;
            }
            chain.push(ram, descriptor.address, descriptor.len, flags)?;
            if flags & NEXT == 0 {
                return Ok(());
            }
            index = u64::from(descriptor.end);
        }
        Err(Fault::Length)
    }

    pub(crate) fn push(&mut self, ram: &GuestRam, chains: &[(Token, u32)]) {
        for &(token, written) in chains {
            let at = self.used.add(RING + 8 * self.slot(self.position.used));
            ram.store(at, u64::from(token.id) | u64::from(written) << 32);
            self.position.used = self.position.used.wrapping_add(1);
        }
        // What the index announces before the index.
        fence(Ordering::Release);
        ram.store(self.used.add(INDEX), self.position.used);
    }

    pub(crate) fn wants_signal(&mut self, ram: &GuestRam) -> bool {
        let (old, new) = (self.told, self.position.used);
        self.told = new;
        if !self.event_index {
            return ram.load::<u16>(self.available) & QUIET == 0;
        }
        let event = ram.load::<u16>(self.available.add(RING + 2 * u64::from(self.size)));
        new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
    }

    pub(crate) fn listen(&mut self, ram: &GuestRam, on: bool) -> bool {
        let at = self.empty_at.unwrap_or(self.position.available);
        if self.event_index {
            // Without a new wish the driver tells nothing more.
            if !on {
                return false;
            }
            let event = self.used.add(RING + 8 * u64::from(self.size));
            ram.store(event, at);
        } else {
            ram.store(self.used, if on { 0 } else { QUIET });
        }
        fence(Ordering::SeqCst);
        ram.load::<u16>(self.available.add(INDEX)) != at
    }
}
