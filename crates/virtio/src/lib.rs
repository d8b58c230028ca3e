//! virtio 1.2 over PCI: the rings, the transport, and one file per device.
//!
//! ```text
//! vCPU threads                                   one worker thread per started queue
//!     |  pci::VirtioPci (a PCI function)                  |
//!     |     capabilities, registers, MSI-X                | Handler::run, the device's own
//!     v                                                   v
//! Transport: status, features, queues -- start/stop --> Queue: rings in guest RAM
//!     |                                                   |
//!     |  doorbell (Bell) -------------------------------> |
//!                                    Interrupt <----------/  MSI-X or INTx
//! ```
//!
//! A device ([`VirtioDevice`]) says what it is and makes a [`Handler`] for each queue that the driver starts. The
//! transport owns everything else: negotiation, rings, interrupts, resets of queues and of the device, and the
//! snapshot. Starting and stopping a queue is the one path for reset, pause and snapshot: a stopped queue has no
//! request in flight, and its state is two ring positions.
//!
//! **Drivers are hostile.** Every address and length that comes out of a ring is checked against guest RAM when the
//! chain is taken; what a chain says is read once. A ring that makes no sense stops its queue and sets
//! DEVICE_NEEDS_RESET (2.1.2); nothing panics and nothing outside of guest RAM is touched.
//!
//! **Lock order**: a function's mutex, then its [`Interrupt`], then the MSI-X table, then the engine's. Workers never
//! take the function's mutex: the vCPU that stops a queue holds it while it waits for the worker.

#![warn(clippy::cast_possible_truncation, clippy::indexing_slicing)]

mod chain;
mod interrupt;
pub mod pci;
mod queue;
mod ring;
#[cfg(test)]
mod testing;
mod transport;
mod worker;

pub mod balloon;
pub mod block;
pub mod console;
pub mod feature;
pub mod fs;
pub mod net;
pub mod rng;
pub mod serial;
pub mod vsock;

pub use balloon::Balloon;
pub use block::Block;
pub use chain::Chain;
pub use console::Console;
pub use fs::Fs;
pub use interrupt::Interrupt;
pub use net::Net;
pub use queue::{Mark, Queue, Token};
pub use rng::Rng;
pub use serial::Serial;
pub(crate) use transport::Transport;
pub use transport::{Driver, VirtioDevice};
pub use vsock::Vsock;
pub use worker::{Handler, Wait};
