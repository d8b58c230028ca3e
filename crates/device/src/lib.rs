//! The chipset: address space, interrupt controllers, timers, ports.
#![warn(clippy::cast_possible_truncation, clippy::indexing_slicing)]

mod access;
pub mod acpi;
pub mod bus;
pub mod i8042;
pub mod interrupt;
pub mod ioapic;
pub mod pci;
pub mod pic;
pub mod pit;
mod range;
pub mod reset;
pub mod rtc;
#[cfg(test)]
mod testing;
pub mod uart;
pub mod vga;

pub use acpi::Acpi;
pub use bus::{Bus, Target, lock};
pub use i8042::I8042;
pub use interrupt::{IsaLine, Unconnected};
pub use ioapic::IoApic;
pub use pic::Pic;
pub use pit::Pit;
pub use reset::{DebugExit, FastReset, Post};
pub use rtc::{MemorySize, Rtc};
pub use uart::Uart;
pub use vga::VgaText;
