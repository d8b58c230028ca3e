//! What a debugger outside of the guest wants, by KVM_SET_GUEST_DEBUG.
//!
//! KVM has the processor's four debug registers for it, and hides them from the guest, whose own don't count while the
//! debugger uses one. Exceptions that the debugger did not ask for go on to the guest.

use iface::{Debug, EngineError, Exit, Stop, Watch};
use kvm_bindings::{
    KVM_CAP_SET_GUEST_DEBUG2, KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP,
    KVM_GUESTDBG_USE_HW_BP, KVM_GUESTDBG_USE_SW_BP, kvm_guest_debug,
};
use x86::Vector;
use x86::cr::{dr6, dr7};

use crate::error::{failed, unsupported};
use crate::ioctl::done;
use crate::state;
use crate::vcpu::KvmVcpu;

/// Debug registers for addresses.
pub(crate) const REGISTERS: usize = 4;

/// A debug exception or an INT3 for which the guest was left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trap {
    pub(crate) vector: u8,
    /// Linear address of the instruction.
    pub(crate) linear: u64,
    /// What DR6 would say.
    pub(crate) dr6: u64,
}

/// What is in one of the debug registers.
enum Register {
    Breakpoint(u64),
    Watch(Watch),
}

/// The debug registers that the debugger's wishes take.
fn registers(debug: &Debug) -> impl Iterator<Item = Register> {
    // A step is taken from breakpoints, too.
    let breakpoints: &[u64] = if debug.step { &[] } else { &debug.breakpoints };
    let watchpoints = debug.watchpoints.iter().copied().map(Register::Watch);
    let breakpoints = breakpoints.iter().copied().map(Register::Breakpoint);
    watchpoints.chain(breakpoints)
}

/// The debug registers' contents, by number.
fn contents(debug: &Debug) -> [u64; 8] {
    let mut dr = [0; 8];
    dr[7] = dr7::FIXED;
    for (index, register) in registers(debug).take(REGISTERS).enumerate() {
        let (address, kind, len) = match register {
            Register::Breakpoint(address) => (address, 0, 0),
            Register::Watch(watch) => {
                let kind = if watch.reads { 3 } else { 1 };
                let len = match watch.len {
                    1 => 0,
                    2 => 1,
                    4 => 3,
                    _ => 2,
                };
                (watch.address, kind, len)
            }
        };
        dr[index] = address;
        dr[7] |= 2 << (2 * index) | kind << (16 + 4 * index) | len << (18 + 4 * index);
    }
    dr
}

impl KvmVcpu {
    /// Takes what a debugger wants.
    pub(crate) fn debug(&mut self, debug: &Debug) -> Result<(), EngineError> {
        let count = debug.breakpoints.len() + debug.watchpoints.len();
        if count > REGISTERS {
            return Err(unsupported(format!(
                "{count} breakpoints and watchpoints, where the processor has {REGISTERS}"
            )));
        }
        let mut request = kvm_guest_debug::default();
        if !debug.is_idle() {
            request.control = KVM_GUESTDBG_ENABLE;
        }
        if debug.step {
            let allowed = self.shared.host.capability(KVM_CAP_SET_GUEST_DEBUG2) as u32;
            request.control |= KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ & allowed;
        }
        if registers(debug).next().is_some() {
            request.control |= KVM_GUESTDBG_USE_HW_BP;
            request.arch.debugreg = contents(debug);
        }
        if !debug.traps.is_empty() {
            request.control |= KVM_GUESTDBG_USE_SW_BP;
        }
        done(self.fd.set_guest_debug(&request)).map_err(failed("setting breakpoints"))?;
        self.debug = debug.clone();
        Ok(())
    }

    /// The guest was left for a debug exception: why that is, unless it is the guest's own.
    pub(crate) fn debug_trap(&mut self, trap: Trap) -> Result<Option<Exit>, EngineError> {
        if let Some(stop) = stop(&self.debug, trap) {
            return Ok(Some(Exit::Breakpoint(stop)));
        }
        let mut own = state::save(self)?;
        let before = own.clone();
        if trap.vector == Vector::DB.0 {
            own.dr[4] = own.dr[4] & !0xf | trap.dr6 & 0xe00f;
            own.dr[5] &= !dr7::GD;
        }
        own.raise(Vector(trap.vector), 0);
        state::load_changes(self, &before, &own)?;
        Ok(None)
    }
}

/// Why the debugger wants to hear of an exception, if it does.
fn stop(debug: &Debug, trap: Trap) -> Option<Stop> {
    if trap.vector == Vector::BP.0 {
        let ours = debug.traps.contains(&trap.linear);
        return ours.then_some(Stop::Breakpoint);
    }
    for (index, register) in registers(debug).take(REGISTERS).enumerate() {
        match register {
            _ if trap.dr6 >> index & 1 == 0 => {}
            Register::Breakpoint(_) => return Some(Stop::Breakpoint),
            Register::Watch(watch) => return Some(Stop::Watch(watch)),
        }
    }
    (debug.step && trap.dr6 & dr6::BS != 0).then_some(Stop::Step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debug() -> Debug {
        Debug {
            step: false,
            breakpoints: vec![0xffff_8000_0000_1234],
            watchpoints: vec![Watch {
                address: 0x2008,
                len: 8,
                reads: false,
            }],
            traps: vec![0x9000],
        }
    }

    fn trap(vector: u8, linear: u64, dr6: u64) -> Trap {
        Trap {
            vector,
            linear,
            dr6,
        }
    }

    #[test]
    fn registers_hold_watchpoints_and_breakpoints() {
        let [first, second, _, _, _, _, _, control] = contents(&debug());
        assert_eq!((first, second), (0x2008, 0xffff_8000_0000_1234));
        assert_eq!(control, dr7::FIXED | 0b1010 | 0b1001 << 16);
        let step = Debug {
            step: true,
            ..debug()
        };
        assert_eq!(contents(&step)[7], dr7::FIXED | 0b10 | 0b1001 << 16);
    }

    #[test]
    fn what_is_the_guests_is_told_from_what_is_the_debuggers() {
        let debug = debug();
        assert_eq!(stop(&debug, trap(3, 0x9000, 0)), Some(Stop::Breakpoint));
        assert_eq!(stop(&debug, trap(3, 0x9001, 0)), None, "the guest's INT3");
        assert_eq!(stop(&debug, trap(1, 0, 2)), Some(Stop::Breakpoint));
        let watch = Stop::Watch(debug.watchpoints[0]);
        assert_eq!(stop(&debug, trap(1, 0, 1)), Some(watch));
        assert_eq!(stop(&debug, trap(1, 0, dr6::BS)), None, "the guest's TF");
        let step = Debug {
            step: true,
            ..debug
        };
        assert_eq!(stop(&step, trap(1, 0, dr6::BS)), Some(Stop::Step));
    }
}
