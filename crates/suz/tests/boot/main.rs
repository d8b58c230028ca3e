//! Real operating systems, unmodified, from Debian's packages, each to its own user space or its own message.
//!
//! A guest that can't be fetched here is skipped, and said so. Where the same program can run on the bare host,
//! its output there is what the guest has to print.

mod console;
mod debug;
mod disk;
mod guest;
mod linux;
mod net;
mod nvme;
mod others;
mod port;
mod python;
mod share;
mod vsock;
