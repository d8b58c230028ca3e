//! Memory operands of any size up to a page, resolved before anything is read or written.
//!
//! An instruction that does more than load or store its operand (pops the x87 stack, updates several registers)
//! resolves the operand first: what follows can't fault any more.

use mem::Offset;
use x86::{Exception, Vector};

use super::access::{Place, to_page_end};
use super::{Access, Privilege};
use crate::cpu::Cpu;
use crate::trap::{R, Trap};

/// Where the bytes of an operand are: all in one page, or in two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    linear: u64,
    bytes: u64,
    place: Place,
    /// Where the second page's part is, and how many bytes are before it.
    rest: Option<(Place, u64)>,
}

impl Span {
    /// The place in RAM of an operand that lies in one page.
    pub(crate) fn in_ram(&self) -> Option<Offset> {
        match (self.place, self.rest) {
            (Place::Ram(at), None) => Some(at),
            _ => None,
        }
    }

    fn first(&self) -> u64 {
        self.rest.map_or(self.bytes, |(_, first)| first)
    }
}

impl Cpu {
    /// Resolves an operand of at most a page, raising the fault that accessing it would.
    pub(crate) fn span(&mut self, linear: u64, bytes: u64, access: Access) -> R<Span> {
        let privilege = self.mmu.privilege;
        if privilege == Privilege::UserAligned && linear & (alignment(bytes) - 1) != 0 {
            return Err(Trap::fault(Exception::new(Vector::AC)));
        }
        let first = to_page_end(linear).min(bytes);
        let place = self.place(linear, first, access, privilege)?;
        let mut span = Span {
            linear,
            bytes,
            place,
            rest: None,
        };
        if first < bytes {
            let next = self.wrap(linear.wrapping_add(first));
            span.rest = Some((self.place(next, bytes - first, access, privilege)?, first));
        }
        Ok(span)
    }

    /// Reads a span, or the part of it that begins after `skip` bytes.
    pub(crate) fn read_span(&mut self, span: &Span, skip: u64, to: &mut [u8]) {
        for (place, range) in pieces(span, skip, to.len() as u64) {
            self.fetch_from(place, &mut to[range]);
        }
        self.watch(span.linear.wrapping_add(skip), to.len() as u64, false);
    }

    /// Writes a span, or the part of it that begins after `skip` bytes.
    pub(crate) fn write_span(&mut self, span: &Span, skip: u64, from: &[u8]) {
        for (place, range) in pieces(span, skip, from.len() as u64) {
            self.put_to(place, &from[range]);
        }
        self.watch(span.linear.wrapping_add(skip), from.len() as u64, true);
    }

    /// To be called after native code accessed [`Span::in_ram`] by itself.
    pub(crate) fn touched_span(&mut self, span: &Span, at: Offset, write: bool) {
        if write && self.ram.flags().written(at, span.bytes) {
            self.code_written();
        }
        self.watch(span.linear, span.bytes, write);
    }
}

/// What alignment checking asks of an operand, by its size: vectors, x87 numbers and environments (SDM vol. 3,
/// table 6-7).
fn alignment(bytes: u64) -> u64 {
    match bytes {
        2 | 4 | 8 | 16 | 32 => bytes,
        10 => 8,
        28 | 108 => 4,
        14 | 94 => 2,
        _ => 1,
    }
}

/// The places of `bytes` bytes of a span after the first `skip`, and which of the bytes each has.
fn pieces(
    span: &Span,
    skip: u64,
    bytes: u64,
) -> impl Iterator<Item = (Place, std::ops::Range<usize>)> + use<> {
    assert!(skip + bytes <= span.bytes, "outside the span");
    let first = span.first();
    let end = skip + bytes;
    let head = (skip < first).then(|| (span.place.add(skip), 0..(end.min(first) - skip) as usize));
    let tail = span.rest.filter(|_| end > first).map(|(place, _)| {
        let from = skip.max(first);
        (
            place.add(from - first),
            (from - skip) as usize..bytes as usize,
        )
    });
    head.into_iter().chain(tail)
}
