//! What devices stand on: character streams, disks, networks and sockets, over the host's resources.

pub mod console;
pub mod disk;
pub mod hub;
mod listener;
pub mod net;
mod pipe;
pub mod port;
pub mod share;
pub mod vsock;

pub use console::{Console, ConsoleChar, Event};
pub use hub::Hub;
pub use port::Port;
pub use share::Share;
pub use vsock::Vsock;
