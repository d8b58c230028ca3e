//! A virtual processor and its outer loop.

use std::sync::Arc;

use iface::{EngineError, Exit, Io, Kicker, Space, Vcpu};
use x86::CpuState;
use x86::state::Activity;

use crate::alarm::AlarmThread;
use crate::block::BlockCache;
use crate::cpu::Cpu;
use crate::engine::Shared;
use crate::inbox::attention;
use crate::run::Processor;
use crate::trap::Trap;

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
    pub(crate) fn new(shared: Arc<Shared>, alarm: Arc<AlarmThread>, id: u32) -> Self {
        let cpu = Cpu::new(shared.clone(), id, Arc::new(NoIo));
        let blocks = BlockCache::new();
        Self {
            processor: Processor { cpu, blocks },
            shared,
            _alarm: alarm,
        }
    }

    fn stuck(&self, trap: Trap) -> EngineError {
        let reason = match trap.exception() {
            Some(exception) => format!("exception {}", exception.vector),
            None => format!("{trap:?}"),
        };
        EngineError::Stuck {
            reason,
            location: self.processor.cpu.save_state().location(),
        }
    }
}

impl Vcpu for SoftVcpu {
    fn run(&mut self, io: &Arc<dyn Io>) -> Result<Exit, EngineError> {
        host::thread::wake_exactly();
        self.processor.cpu.io = io.clone();
        let inbox = &self.shared.inboxes[self.processor.cpu.id as usize];
        loop {
            if inbox.take() & attention::KICK != 0 {
                return Ok(Exit::Kicked);
            }
            if self.processor.cpu.activity != Activity::Running {
                inbox.sleep(None);
                continue;
            }
            self.processor.cpu.attend = false;
            let mut result = self.processor.advance();
            while result.is_ok() && !inbox.is_wanted() && !self.processor.cpu.attend {
                result = self.processor.step(usize::MAX);
            }
            if let Err(trap) = self.processor.settle(result) {
                return Err(self.stuck(trap));
            }
        }
    }

    fn save(&self) -> Result<CpuState, EngineError> {
        Ok(self.processor.cpu.save_state())
    }

    fn load(&mut self, state: &CpuState) -> Result<(), EngineError> {
        self.processor.cpu.load_state(state)
    }

    fn kicker(&self) -> Arc<dyn Kicker> {
        Arc::new(SoftKicker {
            shared: self.shared.clone(),
            id: self.processor.cpu.id,
        })
    }
}
