//! Why a machine could not be made.

use std::path::PathBuf;

use crate::layout::{CPUS_MAX, MEMORY_MAX};
use crate::size::Size;

/// Why a machine could not be made. Each says in one line what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number of processors that no machine has.
    #[error("{asked} CPUs: a machine has 1 to {CPUS_MAX}")]
    Cpus {
        /// The number.
        asked: u32,
    },
    /// A size of the code cache out of range.
    #[error(
        "{asked} bytes for translated code: whole mebibytes up to 1 GiB are possible (--code-cache)"
    )]
    CodeCache {
        /// Bytes asked for.
        asked: u64,
    },
    /// Lockstep where there is nothing to compare.
    #[error(
        "lockstep compares translated code of one processor of the software CPU: leave out --cpus, --interpret and --engine"
    )]
    Lockstep,
    /// An amount of memory that no machine has.
    #[error("memory of {}: a machine has whole mebibytes, 1M to {}", Size(*asked), Size(MEMORY_MAX))]
    Memory {
        /// Bytes.
        asked: u64,
    },
    /// More memory than the host can promise.
    #[error(
        "memory of {}: this host can promise {} ({limit}); ask for less",
        Size(*asked),
        Size(*available)
    )]
    Promise {
        /// Bytes.
        asked: u64,
        /// Bytes.
        available: u64,
        /// What sets the limit.
        limit: &'static str,
    },
    /// The host refused the memory.
    #[error("guest memory")]
    Ram(#[from] mem::Error),
    /// A file that could not be read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The host's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file that doesn't describe a machine.
    #[error("{}: {problem}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        problem: String,
    },
    /// A kernel that can't be started.
    #[error("kernel {}: {problem}", path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// Neither a kernel nor a disk.
    #[error("nothing to start: give a kernel (--kernel), or a disk that has one (--disk)")]
    NothingToStart,
    /// A disk without a system on it.
    #[error("nothing to start on the first disk: {problem}")]
    DiskBoot {
        /// What there is instead, and what to do.
        problem: String,
    },
    /// An initrd or module that can't be loaded.
    #[error("initrd {}: {problem}", path.display())]
    Initrd {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A command line that doesn't fit.
    #[error("a command line of {len} bytes: this kernel takes {max}")]
    CommandLine {
        /// Its length.
        len: usize,
        /// The longest.
        max: usize,
    },
    /// The engine can't be had, or refused.
    #[error("engine")]
    Engine(#[from] iface::EngineError),
    /// A disk that can't be opened.
    #[error(transparent)]
    Disk(#[from] backend::disk::Error),
    /// A device that can't be made.
    #[error("{device}")]
    Device {
        /// Which.
        device: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An address of sockets that no guest has.
    #[error(
        "address {asked} for a guest's sockets: 3 to 4294967294 are possible (--vsock SOCKET,cid=N)"
    )]
    Cid {
        /// The address.
        asked: u32,
    },
    /// Several socket devices.
    #[error("several --vsock: a guest has one address for sockets; give one")]
    Vsocks,
    /// A name that no port has.
    #[error(
        "{name:?} can't be a port's name: letters, digits and ._-:@+# can, at most 64, and a letter or digit first"
    )]
    PortName {
        /// The name.
        name: String,
    },
    /// Two ports of one name.
    #[error("two ports called {name}: give each a name of its own")]
    SamePort {
        /// The name.
        name: String,
    },
    /// More ports than the device has.
    #[error("{asked} ports: a machine has at most {}", virtio::serial::PORTS_MAX)]
    Ports {
        /// Their number.
        asked: usize,
    },
    /// A port that nobody could reach.
    #[error(
        "port {name} needs a socket, as this machine has no folder: --port {name}=PATH, or a machine with --name"
    )]
    PortSocket {
        /// Its name.
        name: String,
    },
    /// A name of a shared folder that doesn't fit.
    #[error(
        "shared folder at {tag:?}: 1 to {} bytes are possible for where it is in the guest",
        virtio::fs::TAG
    )]
    Tag {
        /// The name.
        tag: String,
    },
    /// Two shared folders of one name.
    #[error("two shared folders at {tag}: give each a place of its own in the guest")]
    SameTag {
        /// The name.
        tag: String,
    },
    /// More devices than there are slots.
    #[error("{asked} devices: a machine has at most {max}")]
    Slots {
        /// Their number.
        asked: usize,
        /// The most.
        max: usize,
    },
    /// The host refused a thread.
    #[error("starting a thread")]
    Thread(#[source] std::io::Error),
}
