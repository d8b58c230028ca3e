//! Why a handler did not simply complete.

use std::num::NonZeroU64;

use x86::{Exception, Vector};

/// The result of a handler.
pub(crate) type R<T = ()> = Result<T, Trap>;

/// Leaves the running block. One machine word, never zero, so that a result is one register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trap(NonZeroU64);

impl Trap {
    /// RIP has been set; look up the block there.
    pub(crate) const JUMP: Self = Self::new(1);
    /// The instruction is complete; leave the block and go on behind it.
    pub(crate) const NEXT: Self = Self::new(2);
    /// The instruction is to be executed again (a repeated string instruction that made way for an interrupt).
    pub(crate) const AGAIN: Self = Self::new(3);
    /// A non-canonical address: #SS(0) when the operand's segment is SS, else #GP(0).
    pub(crate) const NON_CANONICAL: Self = Self::new(4);
    /// The processor shut down: triple fault.
    pub(crate) const SHUTDOWN: Self = Self::new(5);

    /// A debugger wants the processor to stop here: [`crate::cpu::Cpu::take_stop`] tells why.
    pub(crate) const STOP: Self = Self::new(6);
    /// A rehearsal can't know what the instruction would do: see [`crate::lockstep`].
    pub(crate) const UNREHEARSED: Self = Self::new(7);
    /// Translated code did something else than the interpreter.
    pub(crate) const DIFFERS: Self = Self::new(8);

    const EXCEPTION: u64 = 0x100;

    const fn new(bits: u64) -> Self {
        match NonZeroU64::new(bits) {
            Some(bits) => Self(bits),
            None => panic!("a trap has a bit set"),
        }
    }

    /// A fault at the running instruction.
    pub(crate) const fn fault(exception: Exception) -> Self {
        Self::new(Self::EXCEPTION | exception.vector.0 as u64 | (exception.error as u64) << 32)
    }

    /// The exception, when it is one.
    pub(crate) const fn exception(self) -> Option<Exception> {
        if self.0.get() & Self::EXCEPTION == 0 {
            return None;
        }
        Some(Exception {
            vector: Vector(self.0.get() as u8),
            error: (self.0.get() >> 32) as u32,
        })
    }
}

/// #UD.
pub(crate) const UD: Trap = Trap::fault(Exception::new(Vector::UD));
/// #GP(0).
pub(crate) const GP0: Trap = Trap::fault(Exception::new(Vector::GP));
/// #SS(0).
pub(crate) const SS0: Trap = Trap::fault(Exception::new(Vector::SS));
/// #NM.
pub(crate) const NM: Trap = Trap::fault(Exception::new(Vector::NM));
/// #DE.
pub(crate) const DE: Trap = Trap::fault(Exception::new(Vector::DE));

/// #GP with an error code.
pub(crate) const fn gp(error: u16) -> Trap {
    Trap::fault(Exception::with_error(Vector::GP, error as u32))
}

/// #TS with an error code.
pub(crate) const fn ts(error: u16) -> Trap {
    Trap::fault(Exception::with_error(Vector::TS, error as u32))
}

/// #NP with an error code.
pub(crate) const fn np(error: u16) -> Trap {
    Trap::fault(Exception::with_error(Vector::NP, error as u32))
}

/// #SS with an error code.
pub(crate) const fn ss(error: u16) -> Trap {
    Trap::fault(Exception::with_error(Vector::SS, error as u32))
}
