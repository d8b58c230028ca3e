//! Host code made from guest code.
//!
//! Guest and host speak the same instruction set, so most guest instructions run as themselves once their
//! operands are in place. [`Context`] is the part of a vCPU that generated code and [`alu`] touch.

pub mod alu;
pub mod cc;
mod context;

pub use context::Context;
