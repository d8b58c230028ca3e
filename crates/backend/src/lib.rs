//! What devices stand on: character streams, disks and networks, over the host's resources.

pub mod console;
pub mod disk;
pub mod net;
mod pipe;

pub use console::{Console, ConsoleChar, Event};
