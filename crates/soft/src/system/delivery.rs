//! Delivery of exceptions and interrupts (SDM vol. 3, chapter 6).
//!
//! A delivery that faults leaves the processor as it was (but for what a task switch has done by then), and the
//! fault takes its place: as it is, as a double fault, or as the end.

mod gate;
mod long;
mod protected;
mod real;
#[cfg(test)]
mod tests;

use x86::exception::Vector;
use x86::state::Activity;
use x86::{Exception, flags};

use crate::cpu::Cpu;
use crate::trap::{R, Trap};

/// Where an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A hardware interrupt or NMI.
    External,
    /// An exception that the processor raised.
    Exception,
    /// INT n, INT3, INTO: the gate's DPL counts.
    Software,
    /// INT1.
    Privileged,
}

/// What is to be delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) vector: u8,
    pub(crate) error: Option<u32>,
    pub(crate) cause: Cause,
    /// The RIP to return to.
    pub(crate) rip: u64,
    /// The RFLAGS to return to.
    pub(crate) flags: u64,
}

impl Event {
    /// The error code of a fault in the event's IDT entry.
    fn idt_error(&self) -> u16 {
        u16::from(self.vector) << 3 | 2
    }
}

/// What a second exception makes of a first whose delivery raised it (SDM vol. 3, tables 6-4 and 6-5).
fn is_double_fault(first: Vector, second: Vector) -> bool {
    if first == Vector::PF {
        second == Vector::PF || second.is_contributory()
    } else {
        first.is_contributory() && second.is_contributory()
    }
}

impl Cpu {
    /// Raises an exception at the instruction at RIP (or, for #DB traps, before it). The error code of #DB says
    /// which bits of DR6 it sets.
    ///
    /// # Errors
    /// [`Trap::SHUTDOWN`] after a triple fault.
    pub(crate) fn raise(&mut self, exception: Exception) -> R {
        self.figures.exceptions += 1;
        self.trace_exception(exception);
        let event = self.exception_event(exception);
        self.deliver_or_escalate(event)
    }

    /// Delivers a hardware interrupt, which ends HLT.
    pub(crate) fn deliver_interrupt(&mut self, vector: u8) -> R {
        self.deliver_external(vector)
    }

    /// Delivers an NMI, and blocks further ones until IRET.
    pub(crate) fn deliver_nmi(&mut self) -> R {
        self.nmi_blocked = true;
        self.deliver_external(Vector::NMI.0)
    }

    fn deliver_external(&mut self, vector: u8) -> R {
        self.activity = Activity::Running;
        let event = Event {
            vector,
            error: None,
            cause: Cause::External,
            rip: self.rip,
            flags: self.rflags(),
        };
        self.deliver_or_escalate(event)
    }

    /// An instruction's own interrupt: INT n, INT3, INTO, INT1. `rip` is behind the instruction.
    pub(crate) fn software_interrupt(&mut self, vector: u8, cause: Cause, rip: u64) -> R {
        let event = Event {
            vector,
            error: None,
            cause,
            rip,
            flags: self.rflags(),
        };
        self.deliver(&event).map_err(|trap| {
            if cause == Cause::Privileged {
                mark_external(trap)
            } else {
                trap
            }
        })
    }

    fn exception_event(&mut self, exception: Exception) -> Event {
        let Exception { vector, error } = exception;
        let mut image = self.rflags();
        if vector == Vector::DB {
            self.report_debug(u64::from(error));
        }
        if vector != Vector::DB || self.is_debug_fault(u64::from(error)) {
            image |= flags::RF;
        }
        if vector == Vector::PF {
            self.ctx.cr2 = self.fault_address;
        }
        // What an instruction noted before it faulted comes again when it is executed again.
        self.debug_traps = 0;
        Event {
            vector: vector.0,
            error: vector.has_error_code().then_some(error),
            cause: Cause::Exception,
            rip: self.rip,
            flags: image,
        }
    }

    fn deliver_or_escalate(&mut self, mut event: Event) -> R {
        self.shadow = false;
        self.debug_shadow = false;
        let begin = event;
        loop {
            let Err(trap) = self.deliver(&event) else {
                return Ok(());
            };
            let Some(second) = mark_external(self.settle(trap)).exception() else {
                return Err(trap);
            };
            if second.vector == Vector::PF {
                // Even when what is delivered is a double fault.
                self.ctx.cr2 = self.fault_address;
            }
            let first = Vector(event.vector);
            let raised = event.cause == Cause::Exception;
            if raised && first == Vector::DF {
                self.shutdown_cause = Some(Vector(begin.vector));
                self.activity = Activity::Shutdown;
                return Err(Trap::SHUTDOWN);
            }
            let next = if raised && is_double_fault(first, second.vector) {
                Exception::new(Vector::DF)
            } else {
                second
            };
            event = self.exception_event(next);
        }
    }

    /// Delivers an event or changes nothing.
    fn deliver(&mut self, event: &Event) -> R {
        if !self.mode.protected {
            self.deliver_real(event)?;
        } else if self.mode.long {
            self.deliver_long(event)?;
        } else {
            self.deliver_protected(event)?;
        }
        // The handler's TF is clear, and INT n with TF set traps after the handler's IRET alone.
        self.single_step = false;
        Ok(())
    }

    /// Turns what is not an exception into one.
    fn settle(&self, trap: Trap) -> Trap {
        if trap == Trap::NON_CANONICAL {
            crate::trap::GP0
        } else {
            trap
        }
    }
}

/// Sets EXT in the error code of a fault that an external event met: all that are about selectors.
fn mark_external(trap: Trap) -> Trap {
    match trap.exception() {
        Some(exception) if matches!(exception.vector.0, 10..=13) => {
            Trap::fault(Exception::with_error(exception.vector, exception.error | 1))
        }
        _ => trap,
    }
}
