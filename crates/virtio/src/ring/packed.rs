//! The packed format (2.8): one ring of descriptors that both sides write, and two event suppression structures.

use std::sync::atomic::{Ordering, fence};

use mem::{GuestRam, Offset};

use super::{Fault, Layout, Position};
use crate::Chain;
use crate::chain::{DESCRIPTOR, Descriptor, INDIRECT, NEXT, table};
use crate::queue::Token;

/// The wrap counter in a position.
pub(super) const WRAP: u16 = 1 << 15;
/// Flags of a descriptor: made available, used.
const AVAILABLE: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// Offset of the flags in a descriptor.
const FLAGS: u64 = 14;
/// Event suppression: not at all, at one descriptor. Zero is always.
const DISABLE: u16 = 1;
const AT_DESCRIPTOR: u16 = 2;

#[derive(Debug)]
pub(crate) struct Packed {
    size: u16,
    event_index: bool,
    indirect: bool,
    ring: Offset,
    driver: Offset,
    device: Offset,
    pub(super) position: Position,
    /// Where the ring was found empty, if nothing was taken since: the driver is asked to tell from there on.
    empty_at: Option<u16>,
    /// The used position when the driver was last told.
    told: u16,
}

impl Packed {
    pub(crate) fn new(ram: &GuestRam, layout: Layout, position: Position) -> Result<Self, Fault> {
        let size = layout.size;
        let is_inside = |at: u16| at & !WRAP < size;
        if size == 0 || !is_inside(position.available) || !is_inside(position.used) {
            return Err(Fault::Index);
        }
        let len = DESCRIPTOR * u64::from(size);
        Ok(Self {
            size,
            event_index: layout.event_index,
            indirect: layout.indirect,
            ring: Layout::place(ram, layout.descriptors, len, 16)?,
            driver: Layout::place(ram, layout.driver, 4, 4)?,
            device: Layout::place(ram, layout.device, 4, 4)?,
            position,
            told: position.used,
            empty_at: None,
        })
    }

    fn descriptor(&self, position: u16) -> Offset {
        self.ring.add(DESCRIPTOR * u64::from(position & !WRAP))
    }

    /// The position `count` descriptors on.
    fn advance(&self, position: u16, count: u16) -> u16 {
        let at = u32::from(position & !WRAP) + u32::from(count);
        let wrap = position & WRAP;
        match u16::try_from(at) {
            Ok(at) if at < self.size => at | wrap,
            _ => u16::try_from(at - u32::from(self.size)).unwrap_or(0) | (wrap ^ WRAP),
        }
    }

    fn is_ready(&self, ram: &GuestRam, position: u16) -> bool {
        let flags: u16 = ram.load(self.descriptor(position).add(FLAGS));
        let wrap = position & WRAP != 0;
        (flags & AVAILABLE != 0) == wrap && (flags & USED != 0) != wrap
    }

    pub(crate) fn pop(&mut self, ram: &GuestRam) -> Result<Option<Chain>, Fault> {
        let mut at = self.position.available;
        if !self.is_ready(ram, at) {
            self.empty_at = Some(at);
            return Ok(None);
        }
        // The flags before what they announce.
        fence(Ordering::Acquire);
        let mut chain = Chain::new(Token { id: 0, count: 0 });
        loop {
            let descriptor = Descriptor::read(ram, self.descriptor(at));
            let flags = descriptor.end;
            chain.token.id = descriptor.mid;
            chain.token.count += 1;
            at = self.advance(at, 1);
            if flags & INDIRECT != 0 {
                if !self.indirect || flags & NEXT != 0 || chain.token.count > 1 {
                    return Err(Fault::Indirect);
                }
                let (table, count) = table(ram, descriptor)?;
                for index in 0..count {
                    let descriptor = Descriptor::read(ram, table.add(DESCRIPTOR * index));
                    if descriptor.end & INDIRECT != 0 {
                        return Err(Fault::Indirect);
                    }
                    chain.push(ram, descriptor.address, descriptor.len, descriptor.end)?;
                }
                break;
            }
            chain.push(ram, descriptor.address, descriptor.len, flags)?;
            if flags & NEXT == 0 {
                break;
            }
            if chain.token.count >= self.size {
                return Err(Fault::Length);
            }
        }
        self.position.available = at;
        self.empty_at = None;
        Ok(Some(chain))
    }

    pub(crate) fn push(&mut self, ram: &GuestRam, chains: &[(Token, u32)]) {
        let used = |position: u16| {
            if position & WRAP == 0 {
                0
            } else {
                AVAILABLE | USED
            }
        };
        let start = self.position.used;
        for &(token, written) in chains {
            let at = self.descriptor(self.position.used);
            ram.store(at.add(8), written);
            ram.store(at.add(12), token.id);
            if self.position.used != start {
                ram.store(at.add(FLAGS), used(self.position.used));
            }
            self.position.used = self.advance(self.position.used, token.count);
        }
        // The driver takes them in order, so that the first one's flags announce all.
        fence(Ordering::Release);
        ram.store(self.descriptor(start).add(FLAGS), used(start));
    }

    pub(crate) fn wants_signal(&mut self, ram: &GuestRam) -> bool {
        let (mut old, new) = (self.told & !WRAP, self.position.used & !WRAP);
        let wrap = self.position.used & WRAP;
        self.told = self.position.used;
        let wish: u32 = ram.load(self.driver);
        let [a, b, c, d] = wish.to_le_bytes();
        match u16::from_le_bytes([c, d]) {
            DISABLE => false,
            AT_DESCRIPTOR if self.event_index => {
                let event = u16::from_le_bytes([a, b]);
                // Positions of the lap before are counted from this one's start.
                let mut at = event & !WRAP;
                if event & WRAP != wrap {
                    at = at.wrapping_sub(self.size);
                }
                if new <= old {
                    old = old.wrapping_sub(self.size);
                }
                new.wrapping_sub(at).wrapping_sub(1) < new.wrapping_sub(old)
            }
            _ => true,
        }
    }

    pub(crate) fn listen(&mut self, ram: &GuestRam, on: bool) -> bool {
        let at = self.empty_at.unwrap_or(self.position.available);
        let wish = match (on, self.event_index) {
            (false, _) => u32::from(DISABLE) << 16,
            (true, false) => 0,
            (true, true) => u32::from(AT_DESCRIPTOR) << 16 | u32::from(at),
        };
        ram.store(self.device, wish);
        fence(Ordering::SeqCst);
        self.is_ready(ram, at)
    }
}
