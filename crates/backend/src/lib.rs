//! What devices stand on: character streams, later disks and networks, over the host's resources.

pub mod console;
mod pipe;

pub use console::{Console, ConsoleChar, Event};
