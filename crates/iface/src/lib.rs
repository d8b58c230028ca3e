//! The seams: every trait that crosses crates, and no logic.
//!
//! Lock order, outermost first: a device, then the interrupt controllers (IOAPIC, PIC), then the engine's own
//! (local APICs). Nothing calls upwards while it holds a lock: an engine holds none of its own when it calls
//! [`Io`], and a device calls [`InterruptLine`] and [`Msi`] but never the bus.

mod char;
mod clock;
mod debug;
mod device;
mod disk;
mod doorbell;
mod engine;
mod file_server;
mod interrupt;
mod lifecycle;
mod nic;
mod port;
mod snapshot;
mod vsock;

pub use char::Char;
pub use clock::Clock;
pub use debug::{Debug, Stop, Watch};
pub use device::{Action, Device};
pub use disk::Disk;
pub use doorbell::Doorbells;
pub use engine::{Engine, EngineError, Exit, Io, Kicker, Shutdown, Space, Vcpu};
pub use file_server::{FileServer, Served};
pub use interrupt::{InterruptLine, Msi, MsiSink};
pub use lifecycle::Lifecycle;
pub use nic::{NIC_FRAME_MAX, NIC_HEADER, Nic, Offloads};
pub use port::Port;
pub use snapshot::{Misfit, Snapshot};
pub use vsock::Vsock;
