//! A processor that executes what another engine can't: a few instructions at a time, on the same memory and state.
//!
//! It takes a state, executes the instruction there with whatever exception it raises, goes on as long as the next
//! one is of a kind that it was needed for before, and gives the state back. Interrupts, the local APIC's timer and
//! the paravirtual clock stay with the other engine.

use std::collections::HashSet;
use std::sync::Arc;

use iced_x86::{Code, Decoder, DecoderOptions};
use iface::{Clock, EngineError, Io};
use mem::{GuestRam, PAGE_SIZE};
use x86::state::Activity;
use x86::{CpuState, Exception, Vector};

use crate::cpu::Cpu;
use crate::engine::{Config, Translate};
use crate::mmu::{Access, Place};
use crate::run::Processor;
use crate::trap::R;
use crate::vcpu::NoIo;

/// Longest instruction in bytes.
const LONGEST: u64 = 15;

/// The helper of one vCPU.
pub struct Assistant {
    processor: Processor,
    /// What it was called for.
    wanted: HashSet<Code>,
}

/// What the helper did.
#[derive(Debug)]
pub struct Assistance {
    /// The state after it.
    pub state: CpuState,
    /// Instructions that were begun.
    pub instructions: u32,
    /// The processor shut down.
    pub is_shut_down: bool,
}

impl Assistant {
    /// A helper for the vCPU with this index and APIC ID.
    pub fn new(ram: Arc<GuestRam>, clock: Arc<dyn Clock>, tsc_khz: u32, id: u32) -> Self {
        let config = Config {
            ram,
            clock,
            cpus: id + 1,
            tsc_khz,
            // Few instructions at a time.
            translate: Translate::Never,
            code_cache: Config::CODE_CACHE,
        };
        let cpu = Cpu::alone(&config, id, Arc::new(NoIo));
        Self {
            processor: Processor::new(cpu),
            wanted: HashSet::new(),
        }
    }

    /// Executes the instruction at the state's RIP, and what follows where that is of the same kinds: `most` in all.
    ///
    /// # Errors
    /// [`EngineError::State`] when a processor can't be in that state.
    pub fn assist(
        &mut self,
        state: &CpuState,
        io: &Arc<dyn Io>,
        most: u32,
    ) -> Result<Assistance, EngineError> {
        self.processor.cpu.io = io.clone();
        self.processor.cpu.load_state(&without_time(state))?;
        if let Some(code) = self.next_instruction() {
            self.wanted.insert(code);
        }
        let mut instructions = 0;
        let mut is_shut_down = false;
        loop {
            self.distrust_code();
            instructions += 1;
            if self.one().is_err() {
                is_shut_down = true;
                break;
            }
            let goes_on = instructions < most
                && self.processor.cpu.activity == Activity::Running
                && self
                    .next_instruction()
                    .is_some_and(|code| self.wanted.contains(&code));
            if !goes_on {
                break;
            }
        }
        self.processor.cpu.release_x87();
        let mut after = self.processor.cpu.save_state();
        is_shut_down |= after.events.activity == Activity::Shutdown;
        give_time_back(state, &mut after);
        Ok(Assistance {
            state: after,
            instructions,
            is_shut_down,
        })
    }

    /// Delivers what came with the state, else executes an instruction.
    fn one(&mut self) -> R {
        let cpu = &mut self.processor.cpu;
        if let Some((vector, error)) = cpu.injected_exception.take() {
            cpu.fault_address = cpu.ctx.cr2;
            return cpu.raise(Exception::with_error(Vector(vector), error));
        }
        if let Some(vector) = cpu.injected_interrupt.take() {
            return cpu.deliver_interrupt(vector);
        }
        self.processor.advance_one()
    }

    /// The other engine's guest may have written code without saying so: what is decoded here is compared again.
    fn distrust_code(&mut self) {
        let cpu = &mut self.processor.cpu;
        let privilege = cpu.mmu.privilege;
        let first = cpu.linear_ip();
        for linear in [first, first.wrapping_add(LONGEST)] {
            if let Ok(Place::Ram(at)) = cpu.place(linear, 1, Access::Fetch, privilege) {
                cpu.ram.flags().page_written(at);
            }
        }
    }

    /// The instruction at RIP, as far as it lies in one page.
    fn next_instruction(&mut self) -> Option<Code> {
        let cpu = &mut self.processor.cpu;
        let privilege = cpu.mmu.privilege;
        let linear = cpu.linear_ip();
        let Ok(Place::Ram(at)) = cpu.place(linear, 1, Access::Fetch, privilege) else {
            return None;
        };
        let room = (PAGE_SIZE - at.0 % PAGE_SIZE).min(LONGEST);
        let mut bytes = [0; LONGEST as usize];
        let bytes = &mut bytes[..room as usize];
        cpu.ram.copy_out(at, bytes);
        let bits = cpu.mode.code.bits();
        let code = Decoder::new(bits, bytes, DecoderOptions::NONE)
            .decode()
            .code();
        (code != Code::INVALID).then_some(code)
    }
}

/// The state without what the other engine does as time passes.
fn without_time(state: &CpuState) -> CpuState {
    let mut state = state.clone();
    state.lapic.timer_remaining = None;
    state.lapic.tsc_deadline = 0;
    state.msrs.kvm_system_time = 0;
    state.msrs.kvm_steal_time = 0;
    state.msrs.kvm_pv_eoi = 0;
    state
}

/// Undoes [`without_time`].
fn give_time_back(before: &CpuState, after: &mut CpuState) {
    after.lapic.timer_remaining = before.lapic.timer_remaining;
    after.lapic.tsc_deadline = before.lapic.tsc_deadline;
    after.msrs.kvm_system_time = before.msrs.kvm_system_time;
    after.msrs.kvm_steal_time = before.msrs.kvm_steal_time;
    after.msrs.kvm_pv_eoi = before.msrs.kvm_pv_eoi;
}
