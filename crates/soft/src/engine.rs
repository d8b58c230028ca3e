//! The engine: what the processors of one guest share, and how devices reach them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iface::{Clock, Engine, EngineError, Msi, Vcpu};
use mem::{GuestRam, PAGE_SIZE};

use crate::alarm::{Alarm, AlarmThread};
use crate::clock::Scale;
use crate::figure::Published;
use crate::inbox::{Inbox, attention};
use crate::lapic::Message;
use crate::observer::{Activity, Observer};
use crate::patience::Lookouts;
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
    /// Whether hot code is translated.
    pub translate: Translate,
    /// Most bytes of translated code that a vCPU keeps.
    pub code_cache: usize,
}

/// When code is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Translate {
    /// Never: all of it is interpreted.
    Never,
    /// Once a block has been run so many times.
    After(u32),
    /// At once, each piece beside the interpreter, up to so many instructions: the first difference ends the run. For
    /// one vCPU.
    InStep(u64),
}

impl Default for Translate {
    fn default() -> Self {
        Self::After(8)
    }
}

impl Config {
    /// Bytes of [`Config::code_cache`] that suit most guests.
    pub const CODE_CACHE: usize = 64 << 20;
    /// The TSC frequency that the machine contract has by default.
    pub const TSC_KHZ: u32 = 1_000_000;
}

/// What the processors of one guest share.
pub(crate) struct Shared {
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) scale: Scale,
    pub(crate) translate: Translate,
    /// The clock when the engine was made.
    pub(crate) start: u64,
    /// A guest has moved the TSC of some vCPU: they don't agree any more.
    tsc_skewed: AtomicBool,
    /// By APIC ID.
    pub(crate) inboxes: Box<[Arc<Inbox>]>,
    /// By APIC ID.
    pub(crate) figures: Box<[Published]>,
    /// By APIC ID.
    pub(crate) activities: Box<[Arc<Activity>]>,
    pub(crate) observer: Observer,
    pub(crate) alarm: Alarm,
    pub(crate) lookouts: Lookouts,
    /// The PIC's INTR output.
    pub(crate) intr: AtomicBool,
}

impl Shared {
    /// # Errors
    /// The host's, when it grants no memory.
    pub(crate) fn new(config: &Config) -> Result<Self, EngineError> {
        let code_cache = match config.translate {
            Translate::Never => PAGE_SIZE as usize,
            Translate::After(_) | Translate::InStep(_) => config.code_cache,
        };
        let inbox = |_| Inbox::new(code_cache).map(Arc::new);
        let inboxes = (0..config.cpus).map(inbox).collect::<Result<_, _>>();
        Ok(Self {
            ram: config.ram.clone(),
            clock: config.clock.clone(),
            scale: Scale::new(config.tsc_khz),
            translate: config.translate,
            start: config.clock.now(),
            tsc_skewed: AtomicBool::new(false),
            inboxes: inboxes.map_err(|source| EngineError::Host {
                what: "the host grants no memory for a vCPU's registers and code",
                source,
            })?,
            figures: (0..config.cpus).map(|_| Published::default()).collect(),
            activities: (0..config.cpus).map(|_| Arc::default()).collect(),
            observer: Observer::default(),
            alarm: Alarm::new(config.cpus),
            lookouts: Lookouts::new(),
            intr: AtomicBool::new(false),
        })
    }

    /// Whether the TSCs of the vCPUs may differ.
    pub(crate) fn is_tsc_skewed(&self) -> bool {
        self.tsc_skewed.load(Ordering::SeqCst)
    }

    /// A guest moved a TSC: every vCPU tells its guest's clock.
    pub(crate) fn set_tsc_skewed(&self) {
        if !self.tsc_skewed.swap(true, Ordering::SeqCst) {
            self.inboxes
                .iter()
                .for_each(|inbox| inbox.post(attention::CLOCK));
        }
    }
}

/// Makes ready what instructions that run natively need, and tells what the host lacks for them.
fn prepare_native() -> Result<(), EngineError> {
    dbt::stub::prepare().map_err(|error| {
        let (what, source) = match error {
            dbt::Error::CodeMemory(source) => (
                "the host grants no executable memory for generated code",
                source,
            ),
            dbt::Error::Signals(source) => ("the host refuses signal handlers", source),
        };
        EngineError::Host { what, source }
    })?;
    let missing: Vec<_> = dbt::missing().iter().map(|(_, name)| *name).collect();
    if !missing.is_empty() {
        tracing::warn!(
            "this host's processor lacks {}: the guest's does, too",
            missing.join(", ")
        );
    }
    Ok(())
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
    /// host refuses a thread or executable memory.
    pub fn new(config: Config) -> Result<Self, EngineError> {
        if !(1..=MOST_CPUS).contains(&config.cpus) {
            return Err(EngineError::State(format!(
                "{} vCPUs, where 1 to {MOST_CPUS} are possible",
                config.cpus
            )));
        }
        if config.cpus > 1 && matches!(config.translate, Translate::InStep(_)) {
            return Err(EngineError::State(format!(
                "{} vCPUs, where lockstep is for one",
                config.cpus
            )));
        }
        if !(1_000..=10_000_000).contains(&config.tsc_khz) {
            return Err(EngineError::State(format!(
                "a TSC of {} kHz, where 1 MHz to 10 GHz are possible",
                config.tsc_khz
            )));
        }
        prepare_native()?;
        let shared = Arc::new(Shared::new(&config)?);
        let alarm = Arc::new(AlarmThread::start(shared.clone())?);
        Ok(Self { shared, alarm })
    }
}

impl Drop for SoftEngine {
    fn drop(&mut self) {
        self.shared.observer.stop();
    }
}

impl Engine for SoftEngine {
    fn vcpu(&self, id: u32) -> Result<Box<dyn Vcpu>, EngineError> {
        if id as usize >= self.shared.inboxes.len() {
            return Err(EngineError::State(format!("there is no vCPU {id}")));
        }
        match SoftVcpu::new(self.shared.clone(), self.alarm.clone(), id) {
            Some(vcpu) => Ok(Box::new(vcpu)),
            None => Err(EngineError::State(format!("vCPU {id} is there already"))),
        }
    }

    fn set_interrupt_line(&self, level: bool) {
        if self.shared.intr.swap(level, Ordering::SeqCst) || !level {
            return;
        }
        for inbox in &self.shared.inboxes {
            if inbox.address().lint0_open {
                inbox.post(attention::LINT0);
            }
        }
    }

    fn pulse_nmi(&self) {
        for inbox in &self.shared.inboxes {
            inbox.post(attention::LINT1);
        }
    }

    fn send_msi(&self, msi: Msi) {
        if let Some(message) = Message::from_msi(msi) {
            self.shared.deliver(message, None);
        }
    }

    fn log_dirty(&self, on: bool) -> Result<(), EngineError> {
        self.shared.ram.flags().log(on);
        Ok(())
    }

    fn take_dirty(&self) -> Result<Vec<u64>, EngineError> {
        Ok(self.shared.ram.flags().take_dirty())
    }

    fn describe(&self) -> String {
        format!(
            "soft: software x86-64 CPU, {}, {} vCPU(s), TSC {} kHz",
            match self.shared.translate {
                Translate::Never => "interpreter",
                Translate::After(_) => "translator",
                Translate::InStep(_) => "translator in lockstep with the interpreter",
            },
            self.shared.inboxes.len(),
            self.shared.scale.khz()
        )
    }

    fn statistics(&self) -> Vec<(&'static str, u64)> {
        let mut figures = Published::total(&self.shared.figures);
        figures.extend(self.shared.observer.figures());
        figures
    }

    fn observe(&self) -> Result<(), EngineError> {
        Observer::start(&self.shared)
    }
}
