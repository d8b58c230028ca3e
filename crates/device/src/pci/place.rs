//! Giving addresses to BARs, as firmware does before the operating system starts.

use std::ops::Range;

use super::{Bar, Root};
use crate::bus::lock;

/// Where BARs can lie. The bus has a [`super::Window`] for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// Ports.
    pub ports: Range<u64>,
    /// Memory below 4 GiB.
    pub low: Range<u64>,
    /// Memory above.
    pub high: Range<u64>,
}

/// A BAR finds no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no room for {size:#x} bytes of BAR {bar} of PCI function {address}")]
pub struct Full {
    /// The function.
    pub address: super::Address,
    /// Which BAR.
    pub bar: u8,
    /// Its size in bytes.
    pub size: u64,
}

/// Takes `size` from the start of `window`, aligned to it.
fn take(window: &mut Range<u64>, size: u64) -> Option<u64> {
    let base = window.start.max(1).checked_next_multiple_of(size)?;
    let end = base.checked_add(size).filter(|&end| end <= window.end)?;
    window.start = end;
    Some(base)
}

impl Root {
    /// Gives every BAR an address in its window, in the order of the functions. Nothing is enabled.
    ///
    /// # Errors
    /// When a window is full.
    pub fn place(&self, windows: &Windows) -> Result<(), Full> {
        let mut windows = windows.clone();
        for (address, function) in self.functions() {
            let mut function = lock(&*function);
            let config = function.config_mut();
            let bars: Vec<(u8, Bar)> = config.bars().collect();
            for (bar, kind) in bars {
                let window = match kind {
                    Bar::Ports(_) => &mut windows.ports,
                    Bar::Memory32(_) => &mut windows.low,
                    Bar::Memory64(_) => &mut windows.high,
                };
                let size = kind.size();
                let base = take(window, size).ok_or(Full { address, bar, size })?;
                config.set_base(bar, base);
            }
            drop(function);
            self.refresh(address);
        }
        Ok(())
    }
}
