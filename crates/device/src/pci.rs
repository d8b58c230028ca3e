//! PCI: one root bus, its functions, and the three ways to reach them.
//!
//! ```text
//! 0xCF8/0xCFC -> ConfigPorts --\
//! ECAM window -> Ecam ----------> Root -> Function (each in its mutex): configuration space
//! port and memory windows -> Window -> Root -> decoded BARs -> Function: registers
//! ```
//!
//! A [`Function`] owns its [`ConfigSpace`]; the [`Root`] watches writes to it and keeps a map of what the command
//! and base address registers make it decode. So placing a BAR changes nothing on the bus, whose claims are the
//! windows. What nobody decodes reads as ones (master abort).
//!
//! Interrupt pins are wired to the I/O APIC's pins 16 to 19 (see [`ioapic_pin`]), and for guests without it to two
//! level-triggered IRQs of the PIC (see [`pic_irq`]).
//!
//! Lock order: a function, then the root's maps, then interrupt controllers. No lock of the root is held while a
//! function is locked or called.

mod address;
mod config;
mod decode;
mod function;
mod host_bridge;
mod intx;
mod msix;
mod place;
mod port;
mod root;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use config::{Bar, ConfigSpace, ConfigState, Identity};
pub use function::Function;
pub use host_bridge::HostBridge;
pub use intx::{IntxState, PIC_IRQS, ioapic_pin, pic_irq};
pub use msix::{ENTRY as MSIX_ENTRY, Msix, MsixState};
pub use place::{Full, Windows};
pub use port::{CONFIG_PORTS, CONFIG_PORTS_LENGTH, ConfigPorts, ConfigPortsState, Ecam, Window};
pub use root::{ECAM_LENGTH, Occupied, Root};
