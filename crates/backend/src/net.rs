//! Networks.

mod capture;
mod tap;
pub mod user;

pub use capture::Capture;
pub use tap::Tap;
pub use user::User;
