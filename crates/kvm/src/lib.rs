//! The engine over `/dev/kvm`: hardware virtualization by the host's kernel.
//!
//! ```text
//!   capability  the device, and what it must be able to do
//!   engine      the VM: messages, the PIC's line
//!   slot        guest memory, and the log of its pages
//!   route       which interrupts' ends KVM reports to us
//!   vcpu        in and out of the guest: accesses, kicks, the PIC
//!   doorbell    writes that only wake somebody
//!   bell, page  how other threads reach a vCPU; the page shared with the kernel
//!   state       CpuState from and to KVM: registers, XSAVE, local APIC, events
//!   cpuid, msr  the machine contract's tables, checked against what KVM supports
//!   debug       breakpoints, watchpoints and steps for debuggers
//!   assist      help by the software CPU
//!   quirk, lab  what this host's KVM does otherwise, found by trying
//!   cost        what an exit costs, for the benchmark
//!   time        TSC and clock in step with the machine's
//! ```
//!
//! Local APICs are KVM's, and so is their timer; I/O APIC, PIC and PIT are ours ("split irqchip"). A vCPU leaves
//! [`iface::Vcpu::run`] only when every access that it began is complete, so its state can be saved.

mod assist;
mod bell;
mod capability;
mod cost;
mod cpuid;
mod debug;
mod doorbell;
mod engine;
mod error;
mod figure;
mod ioctl;
mod lab;
mod msr;
mod page;
mod quirk;
mod route;
mod slot;
mod state;
mod time;
mod vcpu;

pub use capability::{DEVICE, Host};
pub use cost::{Cost, Signal, exit_costs, signal_costs};
pub use engine::{Config, KvmEngine};
pub use quirk::{Findings, HARDWARE_SPEED, Quirk, examine, glance};
