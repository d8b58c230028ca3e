//! Guest-physical memory: addresses, RAM, and the table of page flags.
//!
//! RAM is one memory file, mapped once. A [`Gpa`] inside a RAM range has an [`Offset`] into that file;
//! `Offset` is what caches (TLBs, decoded blocks) keep, because an access through it needs one bounds check.
//! Guest RAM is never a Rust reference: every access is a volatile copy made by one machine instruction where
//! it is a naturally aligned 1, 2, 4 or 8 bytes, and therefore as atomic as the guest expects.
//!
//! Every write is followed by a look at the page's [`PageFlags`]: pages that hold decoded code or whose
//! writes are logged take a slow path. See [`PageFlags`] for why this order is enough.

mod address;
mod atomic;
mod page_flags;
mod pieces;
mod ram;
mod runner;
mod search;
mod word;

pub use address::{Gpa, Gva, Offset, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};
pub use atomic::split_lock;
pub use page_flags::PageFlags;
pub use pieces::Pieces;
pub use ram::{Error, GuestRam, Range};
pub use runner::{Requests, Runner};
pub use word::Word;
