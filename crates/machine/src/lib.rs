//! The machine: from a [`Spec`] to a running guest.
//!
//! ```text
//!           ┌── vCPU threads ── Vcpu::run ── Io ──▶ Bus ──▶ devices ──▶ PIC, IOAPIC ──▶ engine
//! Machine ──┤                     ▲                  │
//!           │                 kick, gate ◀─ Action ──┘
//!           └── timer thread ── deadlines of devices
//! ```
//!
//! **Boot order.** Spec checked; kernel file parsed; RAM promised and mapped; engine; chipset on the bus;
//! firmware tables, initrd and kernel in memory; processors made and given their state; threads started, all
//! waiting. [`Handle::resume`] then starts the clock and after it the processors, so that no processor ever sees
//! time stand still.
//!
//! **Reset.** A guest's reset starts the same machine again, where the spec doesn't make it the end: all vCPUs have
//! left the guest, the devices stand still, RAM is given back and everything after "chipset on the bus" is done anew
//! ([`start`]). Engine, backends, consoles and threads stay.
//!
//! **Pause order.** Processors before devices: all vCPUs are kicked and have left the guest, then the clock
//! stops, with which no device deadline passes any more. Going on is the reverse.
//!
//! **Lock order**, outermost first: one device's mutex; the PIC's or the IOAPIC's; the engine's own. The locks of
//! the control and of the timer are apart: they are taken while none of those is held, and nothing is taken while
//! they are held. A vCPU thread holds no lock when it enters [`iface::Vcpu::run`].
//!
//! **End.** The first cause counts ([`Outcome`]): whoever has it records it and kicks every vCPU. Threads end by
//! themselves and are joined when the [`Machine`] is dropped.

mod bios;
mod chipset;
mod choice;
mod clock;
mod control;
pub mod debug;
mod early;
mod engine;
mod error;
mod firmware;
mod intx;
mod io;
mod machine;
mod mp_table;
mod outcome;
mod peripheral;
mod processor;
mod promise;
mod reset;
mod start;
mod timer;

pub mod acpi;
pub mod boot;
pub mod layout;
pub mod size;
pub mod spec;

pub use choice::{Choice, choose};
pub use debug::Debugger;
pub use error::Error;
pub use machine::{Handle, Machine};
pub use outcome::Outcome;
pub use peripheral::random_mac;
pub use size::Size;
pub use spec::Spec;
