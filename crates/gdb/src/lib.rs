//! gdb's remote protocol for a machine: `target remote`.
//!
//! ```text
//!   place     where a debugger may connect
//!   server    connections, one after the other, on a thread of its own
//!   wire      a connection's bytes
//!   session   one debugger's session: what it waits for
//!   guest     the machine as the protocol sees it: a process whose threads are the processors
//!   register  the registers, and the description of them that gdb is sent
//! ```
//!
//! The packets are the crate gdbstub's business, the machine is [`machine::Debugger`]'s.

mod guest;
mod place;
mod register;
mod server;
mod session;
mod wire;

pub use place::{Place, Unclear};
pub use server::Server;
