//! The host's processor as the judge of ours.
//!
//! ```text
//!   form      every instruction form that can be compared, as byte templates by iced's code
//!   case      one instruction with registers and memory, drawn at random with corner values weighted
//!   native    a child process that executes cases on the host's processor
//!   software  the same cases on the software processor
//!   compare   what must agree; `minimize` makes a disagreement small enough to read
//! ```
//!
//! Both sides see the same linear addresses: two pages of code ([`layout::CODE`]), two writable pages of data,
//! one read-only page after them, and nothing around.

mod bytes;
pub mod case;
pub mod compare;
pub mod form;
pub mod fuzz;
pub mod layout;
pub mod native;
pub mod random;
pub mod software;
mod tolerance;

pub use case::{Bits, Case, Outcome};
pub use fuzz::{Fuzz, Report};
