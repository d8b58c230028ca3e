//! Engines: what executes the guest.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use x86::CpuState;

use crate::{Debug, Msi, Stop};

/// An address space that a guest's instruction can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// IN, OUT, INS, OUTS: 16-bit addresses, 1, 2 or 4 bytes.
    Port,
    /// Guest-physical memory that is not RAM, 1 to 8 bytes (more by repeated calls).
    Memory,
}

/// The machine as a running vCPU sees it. Infallible: reads of what is not there give ones, writes vanish.
pub trait Io: Send + Sync {
    /// A guest's read.
    fn read(&self, space: Space, address: u64, data: &mut [u8]);

    /// A guest's write. When it asks for something that only the machine can do, the machine kicks the vCPUs.
    fn write(&self, space: Space, address: u64, data: &[u8]);

    /// A local APIC ended an interrupt whose trigger mode was level.
    fn end_of_interrupt(&self, vector: u8);

    /// A vCPU accepts the PIC's interrupt (INTA): returns its vector.
    fn acknowledge(&self) -> u8;
}

/// Why a triple fault or the like ended a processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// What happened, in one clause: "triple fault delivering #GP".
    pub reason: String,
    /// Mode and CS:RIP where it happened; see [`CpuState::location`].
    pub location: String,
}

/// Why [`Vcpu::run`] came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Somebody called [`Kicker::kick`].
    Kicked,
    /// The guest asked the engine itself for a reset.
    Reset,
    /// The processor stopped for good: triple fault.
    Shutdown(Shutdown),
    /// The debugger wanted it; see [`Vcpu::set_debug`].
    Breakpoint(Stop),
}

/// Why an engine could not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The host refused.
    #[error("{what}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// The host's reason.
        #[source]
        source: std::io::Error,
    },
    /// The state does not fit this engine or its configuration.
    #[error("processor state that does not fit: {0}")]
    State(String),
    /// The engine can't go on executing.
    #[error("{reason} ({location})")]
    Stuck {
        /// What it met.
        reason: String,
        /// Mode and CS:RIP.
        location: String,
    },
    /// Translated code has done something else than the interpreter, which it was compared with.
    #[error("translated code differs from the interpreter ({location})")]
    Differs {
        /// Mode and CS:RIP.
        location: String,
        /// Code and states, in lines.
        report: String,
    },
    /// The host lacks something, and what to do about it.
    #[error("{0}")]
    Unsupported(String),
}

/// Makes a vCPU's [`Vcpu::run`] return [`Exit::Kicked`] soon, even when it sleeps in HLT. A kick that comes while
/// it is not running makes the next run return at once.
pub trait Kicker: Send + Sync {
    /// Kicks.
    fn kick(&self);
}

/// One virtual processor, run by one thread at a time.
pub trait Vcpu: Send {
    /// Executes the guest until something that only the machine can decide.
    fn run(&mut self, io: &Arc<dyn Io>) -> Result<Exit, EngineError>;

    /// The complete state.
    fn save(&self) -> Result<CpuState, EngineError>;

    /// Replaces the complete state.
    fn load(&mut self, state: &CpuState) -> Result<(), EngineError>;

    /// Takes what a debugger wants, in place of what it wanted before. Loading a state changes nothing of it, but has
    /// to come first.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for more than [`Engine::breakpoints`], [`EngineError::Host`] when the host
    /// refuses.
    fn set_debug(&mut self, debug: &Debug) -> Result<(), EngineError> {
        let _ = debug;
        Err(EngineError::Unsupported(
            "this engine has no means for debuggers".into(),
        ))
    }

    /// A handle for other threads.
    fn kicker(&self) -> Arc<dyn Kicker>;
}

/// What executes one guest: its processors and their local APICs, over the RAM that it was made with.
pub trait Engine: Send + Sync {
    /// Makes the vCPU whose index and APIC ID is `id`, in its state after RESET.
    fn vcpu(&self, id: u32) -> Result<Box<dyn Vcpu>, EngineError>;

    /// Drives the PIC's INTR output, wired to LINT0 of every local APIC.
    fn set_interrupt_line(&self, level: bool);

    /// Raises an NMI by LINT1 of every local APIC.
    fn pulse_nmi(&self);

    /// Delivers a message-signalled interrupt to the local APICs that it addresses.
    fn send_msi(&self, msi: Msi);

    /// As [`crate::Doorbells::connect`].
    fn connect_doorbell(&self, address: u64, bell: BorrowedFd<'_>) -> bool {
        let _ = (address, bell);
        false
    }

    /// As [`crate::Doorbells::disconnect`].
    fn disconnect_doorbell(&self, address: u64, bell: BorrowedFd<'_>) {
        let _ = (address, bell);
    }

    /// Starts or stops recording which pages of RAM are written, by the guest and by devices alike.
    fn log_dirty(&self, on: bool) -> Result<(), EngineError> {
        let _ = on;
        Err(EngineError::Unsupported(
            "this engine keeps no log of pages".into(),
        ))
    }

    /// The pages written since the last call, ascending, as page numbers of the RAM file.
    fn take_dirty(&self) -> Result<Vec<u64>, EngineError> {
        Err(EngineError::Unsupported(
            "this engine keeps no log of pages".into(),
        ))
    }

    /// How many breakpoints and watchpoints a debugger may have at a time, in all; any number when `None`.
    fn breakpoints(&self) -> Option<usize> {
        None
    }

    /// One line for people: the engine and what is particular to it here.
    fn describe(&self) -> String;

    /// Figures by name, for `--stats`.
    fn statistics(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Starts to watch where the time goes, for more in [`Engine::statistics`].
    ///
    /// # Errors
    /// The host's, when it refuses a thread.
    fn observe(&self) -> Result<(), EngineError> {
        Ok(())
    }
}
