//! The safe face of the host's kernel: memory mappings, scattered I/O, events, barriers, clocks, signals, terminals.
//!
//! Everything here is a thin, safe wrapper over a system call or a host instruction. No policy, no guest.

pub mod ability;
pub mod barrier;
pub mod clock;
pub mod cpu;
mod crew;
pub mod datagram;
pub mod event;
pub mod fault;
pub mod futex;
pub mod lock;
pub mod mapping;
pub mod sampler;
pub mod signal;
pub mod socket;
pub mod tap;
pub mod terminal;
pub mod thread;
pub mod vector;
mod worker;

pub use crew::Crew;
pub use event::Bell;
pub use mapping::{Mapping, MemFile};
pub use worker::Worker;
