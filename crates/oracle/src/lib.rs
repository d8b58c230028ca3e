//! The host's processor as the judge of ours.
//!
//! ```text
//!   form      every instruction form that can be compared, as byte templates by iced's code
//!   case      one instruction with registers and memory, drawn at random with corner values weighted
//!   program   cases of many instructions: straight runs, branches, loops, calls
//!   native    a child process that executes cases on the host's processor
//!   software  the same cases on the software processor, in each of its ways to execute them
//!   compare   what must agree, beside what the manual (`tolerance`) and the host's vendor leave open
//!   fuzz, weave  draw, compare, and make a disagreement small enough to read: instructions, programs
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
pub mod program;
pub mod random;
pub mod software;
mod tolerance;
mod vendor;
pub mod weave;

pub use case::{Bits, Case, Outcome};
pub use fuzz::{Fuzz, Report};
pub use weave::Weave;
