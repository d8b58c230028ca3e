//! The software engine: an x86-64 processor that needs nothing of the host but its user mode.
//!
//! ```text
//!   engine    what the processors share; inboxes and the alarm, by which other threads reach a vCPU
//!   vcpu      per vCPU thread: attention? -> blocks until there is some
//!   run       one block: lookup -> its ops
//!   translated  hot blocks as host code: when, and what happens where it is left
//!   gate      SYSCALL and SYSRET without leaving it
//!   lockstep  the same on the interpreter, beside it: compares
//!   block     decoded code: Block of Ops, found by linear RIP (jump cache) or physical address
//!   exec      one file per family of instructions: `select` picks the handler when a block is decoded
//!   system    what only kernels do: descriptors, gates, control registers, MSRs, exceptions
//!   mmu       linear -> physical: TLB, page walk, loads and stores
//!   coherence requests of others before generated code is entered
//!   attend    between blocks: inbox, pending interrupts, sleep
//!   patience  how long a halted processor looks out before its thread sleeps
//!   lapic     the local APIC, its timer, and messages between APICs
//!   observer  where the time goes
//!   assistant executes what another engine can't
//!   debugger  breakpoints, watchpoints and steps that the guest knows nothing of
//!   paravirt  KVM's clock, steal time and end of interrupt
//! ```
//!
//! A handler either completes its instruction or changes nothing and returns a [`trap::Trap`]. RIP is kept only
//! at block boundaries and traps: an op knows its offset from the block's start.

mod alarm;
mod assistant;
mod attend;
mod block;
mod clock;
mod coherence;
mod cpu;
mod debugger;
mod engine;
mod exec;
mod figure;
mod gate;
mod inbox;
mod lapic;
mod lockstep;
mod mmu;
mod mode;
mod observer;
mod paravirt;
mod patience;
mod run;
mod segment;
mod state;
mod stepper;
mod system;
#[cfg(test)]
mod testing;
mod trace;
mod translated;
mod trap;
mod vcpu;

pub use assistant::{Assistance, Assistant};
pub use engine::{Config, MOST_CPUS, SoftEngine, Translate};
pub use exec::claims;
pub use lockstep::undefined_after;
pub use stepper::Stepper;
