//! What a machine starts from: kernels and programs out of Debian's packages, and the initramfs around them.
//!
//! ```text
//! Known ──ensure──> Cache ──> apt (private folder, host's mirrors and keys) ──> deb ──> guests/NAME/VERSION/
//!                     │
//!                     ├──> Tree (a root folder of packages with all that they need)
//!                     │
//! user_space ──> Initramfs (cpio) ──> initrd/NAME-HASH.cpio
//! bzimage ──> vmlinux
//! ```
//!
//! Nothing here knows a machine or an engine. Whatever the cache publishes is complete: it is made under another
//! name and renamed, and only the holder of the cache's lock fetches.

mod apt;
pub mod bzimage;
mod cache;
mod deb;
mod error;
mod guest;
mod initramfs;
mod lz4;
mod manifest;
mod tool;
pub mod user_space;

pub use bzimage::vmlinux;
pub use cache::{Cache, Demonstration, Packages, Tree};
pub use error::Error;
pub use guest::{Architecture, Guest, Known, Release};
pub use initramfs::Initramfs;
