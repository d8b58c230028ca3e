//! A virtual processor and its outer loop.

use std::sync::Arc;

use iface::{Debug, EngineError, Exit, Io, Kicker, Shutdown, Space, Vcpu};
use tracing::{Level, debug, enabled};
use x86::CpuState;
use x86::state::Activity;

use crate::alarm::AlarmThread;
use crate::cpu::Cpu;
use crate::engine::Shared;
use crate::inbox::attention;
use crate::observer::{Doing, Observed};
use crate::run::Processor;
use crate::trace::BLOCKS;
use crate::trap::{R, Trap};

/// A vCPU of the software engine.
pub(crate) struct SoftVcpu {
    processor: Processor,
    shared: Arc<Shared>,
    /// Keeps the alarm running as long as there is a vCPU.
    _alarm: Arc<AlarmThread>,
}

/// No machine: before the first run there is none.
pub(crate) struct NoIo;

impl Io for NoIo {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn write(&self, _: Space, _: u64, _: &[u8]) {}

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0xff
    }
}

/// Kicks one vCPU.
struct SoftKicker {
    shared: Arc<Shared>,
    id: u32,
}

impl Kicker for SoftKicker {
    fn kick(&self) {
        self.shared.inboxes[self.id as usize].post(attention::KICK);
    }
}

impl SoftVcpu {
    /// `None` while there is one with this number.
    pub(crate) fn new(shared: Arc<Shared>, alarm: Arc<AlarmThread>, id: u32) -> Option<Self> {
        let cpu = Cpu::new(shared.clone(), id, Arc::new(NoIo))?;
        Some(Self {
            processor: Processor::new(cpu),
            shared,
            _alarm: alarm,
        })
    }

    /// Why and where the processor shut down.
    fn shutdown(&self) -> Shutdown {
        let cpu = &self.processor.cpu;
        let reason = match cpu.shutdown_cause {
            Some(vector) => format!("triple fault delivering {vector}"),
            None => "triple fault".to_owned(),
        };
        let location = cpu.save_state().location();
        debug!(cpu = cpu.id, "{reason} ({location})");
        Shutdown { reason, location }
    }

    /// Runs until the vCPU is kicked.
    ///
    /// # Errors
    /// [`Trap::SHUTDOWN`] after a triple fault, [`Trap::STOP`] when its debugger wants it to stop.
    fn run_until_kicked(&mut self) -> R {
        let traced = enabled!(target: BLOCKS, Level::TRACE);
        let inbox = self.processor.cpu.inbox.clone();
        loop {
            if self.processor.cpu.attend()? {
                return Ok(());
            }
            if self.processor.cpu.is_stopped() {
                return Err(Trap::STOP);
            }
            match self.processor.cpu.activity {
                Activity::Running => {}
                Activity::Shutdown => return Err(Trap::SHUTDOWN),
                Activity::Halted | Activity::WaitForSipi => {
                    self.processor.cpu.halt();
                    continue;
                }
            }
            if traced {
                self.processor.cpu.trace_block();
            }
            if self.processor.cpu.is_debug_step() {
                return self.processor.debug_step();
            }
            let cpu = &mut self.processor.cpu;
            // Breakpoints may be anywhere, and each block is to be seen.
            let blockwise = cpu.code_breakpoints || traced;
            let retries = std::mem::take(&mut cpu.retries);
            if blockwise || retries || cpu.is_stepping() || cpu.attend {
                self.processor.advance()?;
            }
            if blockwise {
                continue;
            }
            while !inbox.is_wanted() && !self.processor.cpu.attend {
                let result = self.processor.run();
                self.processor.settle(result)?;
            }
        }
    }
}

impl Vcpu for SoftVcpu {
    fn run(&mut self, io: &Arc<dyn Io>) -> Result<Exit, EngineError> {
        host::thread::wake_exactly();
        self.processor.cpu.runner.adopt();
        self.processor.adopt();
        let doing = self.processor.cpu.doing.clone();
        self.processor.cpu.io = match self.shared.observer.observes() {
            true => Arc::new(Observed {
                io: io.clone(),
                activity: doing.clone(),
            }),
            false => io.clone(),
        };
        doing.set(Doing::Interpreting);
        self.processor.cpu.forget_steal();
        let result = self.run_until_kicked();
        doing.set(Doing::Nothing);
        self.processor.cpu.release_x87();
        if let Some(translation) = &self.processor.translation {
            self.processor.cpu.figures.translated = translation.figures();
        }
        self.processor.cpu.publish_figures();
        if let Some(translation) = &self.processor.translation
            && enabled!(Level::DEBUG)
        {
            translation.log_left();
        }
        if let Some(report) = self.processor.difference() {
            let location = self.processor.cpu.save_state().location();
            let report = report.to_owned();
            return Err(EngineError::Differs { location, report });
        }
        match (result, self.processor.cpu.take_stop()) {
            (Ok(()) | Err(Trap::STOP), Some(stop)) => Ok(Exit::Breakpoint(stop)),
            (Ok(()), None) => Ok(Exit::Kicked),
            (Err(_), _) => Ok(Exit::Shutdown(self.shutdown())),
        }
    }

    fn save(&self) -> Result<CpuState, EngineError> {
        Ok(self.processor.cpu.save_state_and_inbox())
    }

    fn load(&mut self, state: &CpuState) -> Result<(), EngineError> {
        self.processor.cpu.load_state(state)
    }

    fn set_debug(&mut self, debug: &Debug) -> Result<(), EngineError> {
        self.processor.set_debug(debug);
        Ok(())
    }

    fn kicker(&self) -> Arc<dyn Kicker> {
        Arc::new(SoftKicker {
            shared: self.shared.clone(),
            id: self.processor.cpu.id,
        })
    }
}
