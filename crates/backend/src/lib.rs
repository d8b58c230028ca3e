//! What devices stand on: character streams and disks, later networks, over the host's resources.

pub mod console;
pub mod disk;
mod pipe;

pub use console::{Console, ConsoleChar, Event};
