//! An NVMe controller with one namespace (NVM Express 1.4, by its sections) as a PCI function.
//!
//! ```text
//! vCPU threads                                     one worker thread per I/O submission queue
//!     |  pci::Nvme (a PCI function)                        |
//!     |     registers, doorbells, MSI-X                    | io::Io: read, write, flush, ...
//!     v                                                    v
//! Controller: CC, CSTS, queues -- start/stop --> queue::Fetch: commands out of guest RAM
//!     |  admin commands, on the vCPU's thread              |
//!     |  doorbell (Bell) --------------------------------> |
//!     └─────────────> queue::Completions <─────────────────┘   entries, then MSI-X or the pin
//! ```
//!
//! Admin commands are done while the vCPU writes the doorbell: they are short, and those that make and delete queues
//! are the only ones that change the controller. Commands of I/O queues are done by the queue's worker, which is
//! started when the queue is made. Stopping a worker, for a deleted queue, a reset, a pause or a snapshot, waits for
//! the command that it does; a stopped queue is its base and two indexes.
//!
//! **Drivers are hostile.** An entry of a queue is read once. Every address in it is checked against guest RAM before
//! data moves, lists of pages have as many entries as the transfer has pages, and a transfer has at most
//! [`data::MAX`] bytes. What makes no sense completes with the status that the specification has for it; a controller
//! that can't go on sets CSTS.CFS. Nothing panics and nothing outside of guest RAM is touched.
//!
//! **Lock order**: a function's mutex, then a completion queue's, then the pin's or the MSI-X table's, then the
//! interrupt controllers'. Workers never take the function's mutex: the vCPU that stops one holds it while it waits.

#![warn(clippy::cast_possible_truncation, clippy::indexing_slicing)]

mod admin;
mod bytes;
mod command;
mod controller;
mod data;
mod health;
mod interrupt;
mod io;
mod namespace;
mod pci;
mod queue;
mod register;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use pci::{Attachment, Keeper, Nvme, NvmeState, Shared};
