//! What a machine starts from: kernels and programs out of Debian's packages with the initramfs around them, and
//! images of whole systems.
//!
//! ```text
//! Known ──ensure──> Cache ──> apt (private folder, host's mirrors and keys) ──> deb ──> guests/NAME/VERSION/
//!                     │
//!                     ├──> Tree (a root folder of packages with all that they need)
//!                     │
//! user_space ──> Initramfs (cpio) ──> initrd/NAME-HASH.cpio
//! bzimage ──> vmlinux
//!
//! Debian ──build──> mmdebstrap ──> Store: images/NAME/VERSION/       Seed ──> vfat, what makes a machine personal
//! ```
//!
//! Nothing here knows a machine or an engine. Whatever the cache publishes is complete: it is made under another
//! name and renamed, and only the holder of the cache's lock fetches. So it is with images.

mod apt;
pub mod bzimage;
mod cache;
mod deb;
mod debian;
mod error;
mod guest;
mod initramfs;
mod lock;
mod lz4;
mod manifest;
mod seed;
mod store;
mod tool;
pub mod user_space;

pub use bzimage::vmlinux;
pub use cache::{Cache, Demonstration, Packages, Tree};
pub use debian::Debian;
pub use error::Error;
pub use guest::{Architecture, Guest, Known, Release};
pub use initramfs::Initramfs;
pub use seed::Seed;
pub use store::{Draft, Image, Manifest, Store};
