//! Networks.

mod tap;

pub use tap::Tap;
