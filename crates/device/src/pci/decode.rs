//! The map of what functions decode.

use std::collections::BTreeMap;

use iface::Space;

use super::{Address, ConfigSpace};
use crate::range::RangeMap;

/// A BAR of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) bar: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Decoded {
    space: Space,
    first: u64,
    last: u64,
    bar: u8,
}

/// Which function answers where. Where two decode the same address, the one whose device comes first answers:
/// hardware would do neither well.
#[derive(Debug, Default)]
pub(super) struct DecodeMap {
    functions: BTreeMap<Address, Vec<Decoded>>,
    ports: RangeMap<Place>,
    memory: RangeMap<Place>,
}

impl DecodeMap {
    /// Follows a change of a function's BARs or command register; whether there was one.
    pub(super) fn update(&mut self, address: Address, config: &ConfigSpace) -> bool {
        let decoded: Vec<Decoded> = config
            .decoded()
            .filter_map(|(bar, kind, base)| {
                let last = base.checked_add(kind.size() - 1)?;
                let space = kind.space();
                let fits = space == Space::Memory || last <= 0xffff;
                fits.then_some(Decoded {
                    space,
                    first: base,
                    last,
                    bar,
                })
            })
            .collect();
        if self.functions.get(&address).map_or(&[][..], Vec::as_slice) == decoded {
            return false;
        }
        self.functions.insert(address, decoded);
        self.rebuild();
        true
    }

    fn rebuild(&mut self) {
        self.ports = RangeMap::default();
        self.memory = RangeMap::default();
        for (&address, decoded) in &self.functions {
            for &Decoded {
                space,
                first,
                last,
                bar,
            } in decoded
            {
                let map = match space {
                    Space::Port => &mut self.ports,
                    Space::Memory => &mut self.memory,
                };
                if let Err((other, _)) = map.insert(first, last, Place { address, bar }) {
                    tracing::debug!(%address, bar, "decodes {first:#x}, which {other:#x} has");
                }
            }
        }
    }

    /// Who answers at an address, at which offset, and for how many of `length` bytes that holds.
    pub(super) fn piece(
        &self,
        space: Space,
        address: u64,
        length: usize,
    ) -> (Option<(Place, u64)>, usize) {
        let map = match space {
            Space::Port => &self.ports,
            Space::Memory => &self.memory,
        };
        let (found, length) = map.piece(address, length);
        (found.map(|(&place, offset)| (place, offset)), length)
    }
}
