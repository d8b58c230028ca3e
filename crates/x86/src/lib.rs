//! The x86-64 computer as data: processor state, CPUID, MSRs, descriptors, exceptions, paging structures.
//!
//! No behaviour of an engine lives here. Names and numbers are those of the Intel SDM.

pub mod cpuid;
pub mod cr;
pub mod descriptor;
pub mod exception;
pub mod flags;
pub mod lapic;
pub mod msr;
pub mod paging;
pub mod state;

pub use exception::{Exception, Vector};
pub use state::CpuState;
