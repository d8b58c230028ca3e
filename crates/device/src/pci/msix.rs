//! MSI-X (PCI 3.0, 6.8.2): a table of messages, each with a mask, and an array of pending bits.

use std::sync::{Arc, Mutex};

use iface::{Misfit, Msi, MsiSink};
use serde::{Deserialize, Serialize};

use super::ConfigSpace;
use crate::bus::lock;

/// Capability ID.
const ID: u8 = 0x11;
/// Offset of the message control register in the capability.
const CONTROL: u16 = 2;
const CONTROL_ENABLE: u16 = 1 << 15;
const CONTROL_MASK: u16 = 1 << 14;

/// Bytes of a table entry.
pub const ENTRY: u64 = 16;
/// Vector control: the entry is masked.
const MASKED: u32 = 1;

/// A table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    address: u64,
    data: u32,
    control: u32,
}

impl Entry {
    const RESET: Self = Self {
        address: 0,
        data: 0,
        control: MASKED,
    };

    fn bytes(self) -> u128 {
        u128::from(self.address) | u128::from(self.data) << 64 | u128::from(self.control) << 96
    }

    fn from_bytes(bytes: u128) -> Self {
        let word = |index: u32| {
            let [a, b, c, d, ..] = (bytes >> (32 * index)).to_le_bytes();
            u32::from_le_bytes([a, b, c, d])
        };
        Self {
            address: u64::from(word(0) & !3) | u64::from(word(1)) << 32,
            data: word(2),
            control: word(3) & MASKED,
        }
    }
}

/// What a function's MSI-X remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsixState {
    enabled: bool,
    masked: bool,
    table: Vec<Entry>,
    pending: Vec<bool>,
}

/// The MSI-X of one function. Its threads signal vectors without the function's lock; its own is taken after that
/// and before the engine's.
pub struct Msix {
    state: Mutex<MsixState>,
    sink: Arc<dyn MsiSink>,
    capability: u16,
}

impl Msix {
    /// Gives a function `vectors` vectors, whose table and pending bits lie in a BAR at these offsets.
    #[must_use]
    pub fn new(
        vectors: u16,
        sink: Arc<dyn MsiSink>,
        config: &mut ConfigSpace,
        bar: u8,
        [table, pending]: [u32; 2],
    ) -> Self {
        let [low, high] = vectors.saturating_sub(1).to_le_bytes();
        let mut body = vec![low, high];
        body.extend((table | u32::from(bar)).to_le_bytes());
        body.extend((pending | u32::from(bar)).to_le_bytes());
        let writable = (CONTROL_ENABLE | CONTROL_MASK).to_le_bytes();
        Self {
            state: Mutex::new(MsixState::new(vectors.into())),
            sink,
            capability: config.add_capability(ID, &body, &writable),
        }
    }

    /// Follows a write to the function's configuration space.
    pub fn configured(&self, config: &ConfigSpace) {
        let control = config.word(self.capability + CONTROL);
        let mut state = lock(&self.state);
        state.enabled = control & CONTROL_ENABLE != 0;
        state.masked = control & CONTROL_MASK != 0;
        self.deliver(&mut state);
    }

    /// Whether the function signals by messages.
    pub fn is_enabled(&self) -> bool {
        lock(&self.state).enabled
    }

    /// Signals a vector. Without MSI-X, or beyond the table, nothing happens.
    pub fn signal(&self, vector: u16) {
        let mut state = lock(&self.state);
        if !state.enabled {
            return;
        }
        let vector = usize::from(vector);
        let is_masked = state.is_masked(vector);
        if is_masked {
            if let Some(pending) = state.pending.get_mut(vector) {
                *pending = true;
            }
        } else if let Some(&entry) = state.table.get(vector) {
            self.send(entry);
        }
    }

    fn send(&self, entry: Entry) {
        // Elsewhere it would be a plain write to memory, which no operating system wants.
        if entry.address >> 20 == 0xfee {
            self.sink.send(Msi {
                address: entry.address,
                data: entry.data,
            });
        }
    }

    /// Sends what was pending and is masked no longer.
    fn deliver(&self, state: &mut MsixState) {
        for vector in 0..state.table.len() {
            if !state.enabled || state.is_masked(vector) {
                continue;
            }
            let was_pending = state.pending.get_mut(vector).map(std::mem::take);
            if let (Some(true), Some(&entry)) = (was_pending, state.table.get(vector)) {
                self.send(entry);
            }
        }
    }

    /// Reads the table.
    pub fn read_table(&self, offset: u64, data: &mut [u8]) {
        let state = lock(&self.state);
        for (at, to) in (offset..).zip(data) {
            let entry = usize::try_from(at / ENTRY)
                .ok()
                .and_then(|at| state.table.get(at));
            let [low, ..] = entry.map_or([0; 16], |entry| {
                (entry.bytes() >> (8 * (at % ENTRY))).to_le_bytes()
            });
            *to = low;
        }
    }

    /// Writes the table.
    pub fn write_table(&self, offset: u64, data: &[u8]) {
        let mut state = lock(&self.state);
        for (at, &byte) in (offset..).zip(data) {
            let entry = usize::try_from(at / ENTRY)
                .ok()
                .and_then(|at| state.table.get_mut(at));
            if let Some(entry) = entry {
                let shift = 8 * (at % ENTRY);
                let bytes = entry.bytes() & !(0xff << shift) | u128::from(byte) << shift;
                *entry = Entry::from_bytes(bytes);
            }
        }
        self.deliver(&mut state);
    }

    /// Reads the pending bits.
    pub fn read_pending(&self, offset: u64, data: &mut [u8]) {
        let state = lock(&self.state);
        for (at, to) in (offset..).zip(data) {
            let first = usize::try_from(at).unwrap_or(usize::MAX).saturating_mul(8);
            let bits = state.pending.iter().skip(first).take(8);
            *to = bits
                .rev()
                .fold(0, |bits, &pending| bits << 1 | u8::from(pending));
        }
    }

    /// The state after RESET, but for the control register, which is the configuration space's.
    pub fn reset(&self, config: &mut ConfigSpace) {
        config.write(self.capability + CONTROL, &[0; 2]);
        let mut state = lock(&self.state);
        *state = MsixState::new(state.table.len());
    }

    /// The state now.
    #[must_use]
    pub fn save(&self) -> MsixState {
        lock(&self.state).clone()
    }

    /// Takes up a state of the function that `name` names; no message is sent.
    ///
    /// # Errors
    /// When it has another number of vectors.
    pub fn restore(&self, name: &'static str, new: MsixState) -> Result<(), Misfit> {
        let mut state = lock(&self.state);
        if new.table.len() != state.table.len() || new.pending.len() != state.pending.len() {
            return Err(Misfit {
                name,
                reason: "another number of MSI-X vectors",
            });
        }
        *state = new;
        Ok(())
    }
}

impl MsixState {
    fn new(vectors: usize) -> Self {
        Self {
            enabled: false,
            masked: false,
            table: vec![Entry::RESET; vectors],
            pending: vec![false; vectors],
        }
    }

    fn is_masked(&self, vector: usize) -> bool {
        let entry = self.table.get(vector);
        self.masked || entry.is_some_and(|entry| entry.control & MASKED != 0)
    }
}

#[cfg(test)]
mod tests;
