//! Help by the software CPU where KVM can't emulate an instruction.
//!
//! KVM executes most of a guest on the processor itself, but what touches devices, and on some hosts much more, by an
//! emulator that knows few instructions. It then leaves the guest in the state before the instruction, and the
//! software CPU executes it.

use std::sync::Arc;

use iface::{EngineError, Exit, Io, Stop};
use soft::Assistant;
use x86::Vector;
use x86::cr::xcr0;

use crate::figure::Figure;
use crate::state;
use crate::vcpu::KvmVcpu;

/// Instructions at a time.
const MOST: u32 = 64;

impl KvmVcpu {
    /// Executes what KVM could not.
    pub(crate) fn ask_for_help(&mut self, io: &Arc<dyn Io>) -> Result<Option<Exit>, EngineError> {
        let saved = state::save(self)?;
        let mut before = saved.clone();
        if before.events.exception == Some((Vector::UD.0, 0)) {
            // What KVM would have told the guest.
            before.events.exception = None;
        }
        // Some hosts' KVM lets guests have registers that the contract does not know; they stay as they are.
        before.xcr0 &= xcr0::ALL;
        let shared = &self.shared;
        let assistant = self.assistant.get_or_insert_with(|| {
            Assistant::new(
                shared.ram.clone(),
                shared.clock.clone(),
                shared.time.khz(),
                self.id,
            )
        });
        // A debugger looks at each instruction.
        let most = if self.debug.is_idle() { MOST } else { 1 };
        let mut assistance = assistant.assist(&before, io, most)?;
        if assistance.state.xcr0 == before.xcr0 {
            assistance.state.xcr0 = saved.xcr0;
        }
        state::load_changes(self, &saved, &assistance.state)?;
        self.count(Figure::Assists, 1);
        self.count(Figure::Assisted, assistance.instructions.into());
        if assistance.is_shut_down {
            self.is_shut_down = true;
            return self.shutdown().map(Some);
        }
        let step = self.debug.step.then_some(Exit::Breakpoint(Stop::Step));
        Ok(step)
    }
}
