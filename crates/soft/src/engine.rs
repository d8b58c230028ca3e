//! The engine: what the processors of one guest share, and how devices reach them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iface::{Clock, Engine, EngineError, Msi, Vcpu};
use mem::GuestRam;

use crate::alarm::{Alarm, AlarmThread};
use crate::inbox::{Inbox, attention};
use crate::vcpu::SoftVcpu;

/// Most vCPUs of one engine.
pub const MOST_CPUS: u32 = 64;

/// What an engine is made from.
#[derive(Clone)]
pub struct Config {
    /// The guest's RAM.
    pub ram: Arc<GuestRam>,
    /// The machine's time; the guest's TSC, timers and paravirtual clock derive from it.
    pub clock: Arc<dyn Clock>,
    /// Number of vCPUs, 1 to [`MOST_CPUS`]; told to the guest by CPUID.
    pub cpus: u32,
    /// Frequency of the TSC in kHz; [`Config::TSC_KHZ`] makes the TSC count nanoseconds.
    pub tsc_khz: u32,
}

impl Config {
    /// The TSC frequency that the machine contract has by default.
    pub const TSC_KHZ: u32 = 1_000_000;
}

/// What the processors of one guest share.
pub(crate) struct Shared {
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tsc_khz: u32,
    /// By APIC ID.
    pub(crate) inboxes: Box<[Inbox]>,
    pub(crate) alarm: Alarm,
    /// The PIC's INTR output.
    pub(crate) intr: AtomicBool,
}

impl Shared {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            ram: config.ram.clone(),
            clock: config.clock.clone(),
            tsc_khz: config.tsc_khz,
            inboxes: (0..config.cpus).map(|_| Inbox::default()).collect(),
            alarm: Alarm::new(config.cpus),
            intr: AtomicBool::new(false),
        }
    }
}

/// The software engine.
pub struct SoftEngine {
    shared: Arc<Shared>,
    alarm: Arc<AlarmThread>,
}

impl SoftEngine {
    /// Makes an engine without any vCPU yet.
    ///
    /// # Errors
    /// [`EngineError::State`] for a number of CPUs or a frequency out of range, [`EngineError::Host`] when the
    /// host refuses a thread.
    pub fn new(config: Config) -> Result<Self, EngineError> {
        if !(1..=MOST_CPUS).contains(&config.cpus) {
            return Err(EngineError::State(format!(
                "{} vCPUs, where 1 to {MOST_CPUS} are possible",
                config.cpus
            )));
        }
        if !(1_000..=10_000_000).contains(&config.tsc_khz) {
            return Err(EngineError::State(format!(
                "a TSC of {} kHz, where 1 MHz to 10 GHz are possible",
                config.tsc_khz
            )));
        }
        let shared = Arc::new(Shared::new(&config));
        let alarm = Arc::new(AlarmThread::start(shared.clone())?);
        Ok(Self { shared, alarm })
    }
}

impl Engine for SoftEngine {
    fn vcpu(&self, id: u32) -> Result<Box<dyn Vcpu>, EngineError> {
        if id as usize >= self.shared.inboxes.len() {
            return Err(EngineError::State(format!("there is no vCPU {id}")));
        }
        let vcpu = SoftVcpu::new(self.shared.clone(), self.alarm.clone(), id);
        Ok(Box::new(vcpu))
    }

    fn set_interrupt_line(&self, level: bool) {
        if self.shared.intr.swap(level, Ordering::SeqCst) || !level {
            return;
        }
        for inbox in &self.shared.inboxes {
            inbox.post(attention::LINT0);
        }
    }

    fn pulse_nmi(&self) {
        for inbox in &self.shared.inboxes {
            inbox.post(attention::LINT1);
        }
    }

    fn send_msi(&self, msi: Msi) {
        let _ = msi;
    }

    fn describe(&self) -> String {
        format!(
            "soft: software x86-64 CPU, interpreter, {} vCPU(s), TSC {} kHz",
            self.shared.inboxes.len(),
            self.shared.tsc_khz
        )
    }
}
