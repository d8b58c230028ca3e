//! One processor, one instruction at a time: for comparing it with another one.

use std::sync::Arc;

use iface::{Clock, EngineError};
use mem::GuestRam;
use x86::{CpuState, Exception};

use crate::cpu::Cpu;
use crate::engine::{Config, Shared};
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
        let config = Config {
            ram,
            clock: Arc::new(Still),
            cpus: 1,
            tsc_khz: Config::TSC_KHZ,
            translate: crate::engine::Translate::default(),
            code_cache: Config::CODE_CACHE,
        };
        let cpu = Cpu::new(Arc::new(Shared::new(&config)), 0, Arc::new(NoIo));
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
