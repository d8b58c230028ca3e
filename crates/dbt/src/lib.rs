//! Host code made from guest code.
//!
//! Guest and host speak the same instruction set, so most guest instructions run as themselves once their
//! operands are in place. [`Context`] is the part of a vCPU that generated code and [`alu`] touch; [`stub`] makes
//! host code that executes one guest instruction on it.
//!
//! ```text
//!   form     the instruction without its registers and addresses
//!   emit     form -> bytes of a stub
//!   code     memory for them
//!   stub     the table of stubs, and calling them
//!   tlb      the translations that generated code looks up
//!   x87      the thread's x87 registers, which are the guest's
//! ```

pub mod alu;
pub mod cc;
mod code;
mod context;
mod emit;
mod error;
mod feature;
mod form;
pub mod stub;
pub mod tlb;
pub mod x87;

pub use context::Context;
pub use emit::Access;
pub use error::Error;
pub use feature::{host_has, missing};
pub use form::Slots;
