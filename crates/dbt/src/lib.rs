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
//!
//!   translate  blocks of guest code -> host code
//!   region     memory for a vCPU's context and code
//!   tlb, jump  tables that generated code looks into
//!   returns    stacks on which it remembers calls
//!   gate       what SYSCALL, SYSRET and IRET need
//!   cache      a vCPU's translated blocks: found, entered, linked, dropped
//! ```

pub mod alu;
mod cache;
pub mod cc;
mod code;
mod context;
mod emit;
mod error;
mod feature;
mod form;
mod gate;
mod jump;
mod region;
mod returns;
pub mod stub;
pub mod tlb;
mod translate;
pub mod x87;

pub use cache::{Blocks, Entry, Key, Left, is_supported, may_cross};
pub use context::{Context, Window};
pub use emit::Access;
pub use error::Error;
pub use feature::{host_has, missing};
pub use form::{Slots, converts};
pub use gate::{Crossing, Gates, Iret, Segments};
pub use region::{Attention, Registers};
pub use translate::{Guest, Segmented, Side, Source};
