//! The chipset: address space, interrupt controllers, timers, ports, PCI.
//!
//! ```text
//!  vCPU threads, timer thread                     machine
//!      |  Bus: which device answers?                 | keys, characters, power button
//!      v                                             v
//!  Mutex<Device> ... Mutex<Device>      Mutex<Uart>, Mutex<I8042>, Mutex<Acpi>
//!      |  InterruptLine
//!      v
//!  Mutex<Pic>, Mutex<IoApic>
//!      |  INTR, Msi
//!      v
//!  engine: local APICs
//! ```
//!
//! Each device is a state machine over an injected clock: registers are computed when somebody looks, deadlines
//! tell when nobody has to look before, and no amount of passed time makes a call longer. A register file answers
//! whatever a guest does to it as hardware would; nothing here fails or panics by a guest's doing.
//!
//! Locks are taken downwards in the picture, one device's at a time; [`pci`] has its own between the bus and the
//! controllers. Every device is a [`iface::Snapshot`] of its registers and of the levels that it sees or drives.

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
