//! How a machine's run ended.

use std::fmt;

use iface::Shutdown;

/// Why the machine stopped for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The guest switched itself off.
    PoweredOff,
    /// The guest reset itself.
    Reset,
    /// A kernel under test wrote its status to the debug-exit port.
    DebugExit(u8),
    /// A processor stopped for good, as by a triple fault.
    Shutdown {
        /// The processor.
        vcpu: u32,
        /// What happened and where.
        shutdown: Shutdown,
    },
    /// The engine could not go on, or a part of the monitor failed.
    Failed {
        /// The processor.
        vcpu: u32,
        /// What it met, and where.
        reason: String,
    },
    /// The guest reset the machine, and there was nothing that could be started again.
    NoRestart {
        /// Why not.
        reason: String,
    },
    /// Somebody outside of the guest stopped it.
    Stopped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff => f.write_str("the guest powered off"),
            Self::Reset => f.write_str("the guest reset the machine"),
            Self::DebugExit(value) => write!(f, "the guest reported {value:#x} on its debug exit"),
            Self::Shutdown { vcpu, shutdown } => {
                let Shutdown { reason, location } = shutdown;
                write!(f, "the guest died: {reason} (vCPU {vcpu}, {location})")
            }
            Self::Failed { vcpu, reason } => {
                write!(f, "the machine can't go on: {reason} (vCPU {vcpu})")
            }
            Self::NoRestart { reason } => {
                write!(
                    f,
                    "the guest reset the machine, which can't start again: {reason}"
                )
            }
            Self::Stopped => f.write_str("the machine was stopped"),
        }
    }
}
