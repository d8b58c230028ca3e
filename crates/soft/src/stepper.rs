//! One processor, one instruction at a time: for comparing it with another one.

use std::sync::Arc;

use iface::{Clock, EngineError};
use mem::GuestRam;
use x86::{CpuState, Exception};

use crate::cpu::Cpu;
use crate::engine::{Config, Translate};
use crate::run::Processor;
use crate::vcpu::NoIo;

/// A processor without a machine: beside its RAM reads give ones and writes vanish.
pub struct Stepper(Processor);

/// Time stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> u64 {
        0
    }

    fn wall(&self) -> u64 {
        0
    }
}

impl Stepper {
    /// A processor over `ram`, in its state after RESET.
    pub fn new(ram: Arc<GuestRam>) -> Self {
        Self::with(ram, Translate::Never)
    }

    /// The same, all of whose code [`Stepper::run`] translates before it runs.
    pub fn with_translation(ram: Arc<GuestRam>) -> Self {
        Self::with(ram, Translate::After(0))
    }

    /// The same, each piece of it beside the interpreter.
    pub fn in_step(ram: Arc<GuestRam>) -> Self {
        Self::with(ram, Translate::InStep(u64::MAX))
    }

    fn with(ram: Arc<GuestRam>, translate: Translate) -> Self {
        let config = Config {
            ram,
            clock: Arc::new(Still),
            cpus: 1,
            tsc_khz: Config::TSC_KHZ,
            translate,
            code_cache: Config::CODE_CACHE,
        };
        let cpu = Cpu::alone(&config, 0, Arc::new(NoIo));
        Self(Processor::new(cpu))
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// [`EngineError::State`] when a processor can't be in it.
    pub fn load(&mut self, state: &CpuState) -> Result<(), EngineError> {
        self.0.cpu.load_state(state)
    }

    /// The present state.
    pub fn save(&self) -> CpuState {
        self.0.cpu.save_state()
    }

    /// Where it is.
    pub fn rip(&self) -> u64 {
        self.0.cpu.rip
    }

    /// Runs until an exception, which is returned as [`Stepper::step`] does unless it comes at `until`, or until the
    /// processor wants something of its machine for the `most`th time.
    ///
    /// # Panics
    /// Where translated code does something else than the interpreter in lockstep.
    pub fn run(&mut self, until: u64, most: u64) -> Option<(Exception, u64)> {
        self.0.adopt();
        for _ in 0..most {
            let result = self.0.run();
            self.0.cpu.attend = false;
            self.0.cpu.release_x87();
            if self.0.cpu.rip == until {
                return None;
            }
            if let Some(report) = self.0.difference() {
                panic!("lockstep\n{report}");
            }
            if let Err(trap) = result {
                let exception = trap.exception()?;
                return Some((exception, self.0.cpu.fault_address));
            }
        }
        None
    }

    /// Executes one instruction. An exception is not delivered but returned, with the linear address of a page
    /// fault; the state is then that of the faulting instruction.
    pub fn step(&mut self) -> Option<(Exception, u64)> {
        let result = self.0.step(1);
        self.0.cpu.release_x87();
        let trap = result.err()?;
        trap.exception()
            .map(|exception| (exception, self.0.cpu.fault_address))
    }
}

#[cfg(test)]
mod tests {
    use mem::Gpa;

    use super::*;

    #[test]
    fn code_that_is_translated_at_once_is_so_before_it_runs() {
        if !dbt::is_supported() {
            println!("skipped: this host can't run translated code");
            return;
        }
        let ram = GuestRam::new(&[(Gpa(0xffff_0000), 0x1_0000)]).unwrap();
        // mov ax, 1; hlt
        ram.write(Gpa(0xffff_fff0), &[0xb8, 1, 0, 0xf4]).unwrap();
        let mut stepper = Stepper::with_translation(Arc::new(ram));
        assert_eq!(stepper.run(0xfff4, 2), None);
        assert_eq!(stepper.rip(), 0xfff4);
        assert_eq!(stepper.0.translation.unwrap().blocks.made, 1);
    }
}
