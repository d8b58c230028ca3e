//! The engine: one VM of `/dev/kvm`, what its vCPUs share, and how devices reach them.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use iface::{Clock, Engine, EngineError, Msi, Vcpu};
use kvm_bindings::{
    KVM_CAP_EXIT_ON_EMULATION_FAILURE, KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API,
    KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK, KVM_X2APIC_API_USE_32BIT_IDS, kvm_enable_cap, kvm_msi,
};
use kvm_ioctls::VmFd;
use mem::GuestRam;
use x86::cpuid::{Feature, Processor};

use crate::bell::{self, Bell};
use crate::capability::Host;
use crate::cpuid::{self, Supported};
use crate::debug;
use crate::doorbell;
use crate::error::{failed, unsupported};
use crate::figure::Figures;
use crate::ioctl::{done, vm_tsc_khz};
use crate::route::{self, PINS, Routes};
use crate::slot;
use crate::time::Time;
use crate::vcpu::KvmVcpu;

/// Where KVM may keep a TSS and a page table of its own, below 4 GiB where the machine has nothing.
const TSS: usize = 0xfffb_d000;
const IDENTITY_MAP: u64 = 0xfffb_c000;

/// KVM does not claim that EOI broadcasts can be suppressed, as our I/O APIC has no register for directed ones.
const X2APIC_NO_SUPPRESSION: u64 = 1 << 3;

/// What an engine is made from.
#[derive(Clone)]
pub struct Config {
    /// The guest's RAM.
    pub ram: Arc<GuestRam>,
    /// The machine's time.
    pub clock: Arc<dyn Clock>,
    /// Number of vCPUs; told to the guest by CPUID.
    pub cpus: u32,
    /// Frequency of the TSC in kHz; the host's when absent.
    pub tsc_khz: Option<u32>,
    /// Whether the software CPU executes what KVM can't.
    pub assist: bool,
}

/// What the vCPUs of one guest share.
pub(crate) struct Shared {
    pub(crate) vm: VmFd,
    pub(crate) host: Host,
    /// Mapped as long as the VM lives.
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) time: Time,
    pub(crate) cpus: u32,
    /// Whether the software CPU executes what KVM can't.
    pub(crate) asks_for_help: bool,
    /// Features that this host's KVM lacks.
    pub(crate) missing: Vec<&'static Feature>,
    /// Whether KVM can ring bells for devices.
    has_doorbells: bool,
    /// The PIC's INTR output.
    pub(crate) intr: AtomicBool,
    routes: Mutex<Routes>,
    /// By APIC ID, once made.
    bells: Mutex<Vec<Option<Arc<Bell>>>>,
    /// By APIC ID.
    pub(crate) figures: Box<[Figures]>,
}

/// The engine over `/dev/kvm`.
pub struct KvmEngine {
    pub(crate) shared: Arc<Shared>,
}

impl KvmEngine {
    /// Opens `/dev/kvm` and makes a VM without any vCPU yet.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] with one line on what this host lacks, [`EngineError::Host`] when it refuses.
    pub fn new(config: Config) -> Result<Self, EngineError> {
        Self::on(Host::open()?, config)
    }

    /// As [`KvmEngine::new`], on a device that has been opened.
    ///
    /// # Errors
    /// As there.
    pub fn on(host: Host, config: Config) -> Result<Self, EngineError> {
        host.check_cpus(config.cpus)?;
        host::thread::prepare_interrupts().map_err(failed("the host refuses a signal handler"))?;
        let missing = missing_features(&host)?;
        let vm = done(host.kvm.create_vm()).map_err(failed("making a VM"))?;
        prepare(&vm, &config.ram)?;
        let host_khz = vm_tsc_khz(&vm).map_err(failed("asking for the TSC's frequency"))?;
        let time = Time::new(
            config.clock.clone(),
            config.tsc_khz.unwrap_or(host_khz),
            host_khz,
        );
        let shared = Shared {
            vm,
            has_doorbells: doorbell::is_possible(&host),
            host,
            ram: config.ram,
            clock: config.clock,
            asks_for_help: config.assist,
            time,
            cpus: config.cpus,
            missing,
            intr: AtomicBool::new(false),
            routes: Mutex::default(),
            bells: Mutex::new(vec![None; config.cpus as usize]),
            figures: (0..config.cpus).map(|_| Figures::default()).collect(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl KvmEngine {
    /// Makes a vCPU.
    pub(crate) fn concrete(&self, id: u32) -> Result<KvmVcpu, EngineError> {
        if id >= self.shared.cpus {
            return Err(EngineError::State(format!("there is no vCPU {id}")));
        }
        KvmVcpu::new(self.shared.clone(), id)
    }

    /// What CPUID tells the first vCPU of this machine, but for what depends on its state.
    pub(crate) fn told(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let processor = self.shared.processor(0);
        cpuid::registers(&processor, &self.shared.missing, leaf, subleaf)
    }
}

/// What of the contract's CPUID guests can't have here.
fn missing_features(host: &Host) -> Result<Vec<&'static Feature>, EngineError> {
    let supported = Supported::read(&host.kvm).map_err(failed("asking KVM for its CPUID"))?;
    let missing = supported.missing();
    let names: Vec<_> = missing.iter().map(|feature| feature.name).collect();
    if let Some(name) = cpuid::NEEDED.iter().find(|name| names.contains(name)) {
        return Err(unsupported(format!(
            "this host's KVM gives guests no {name}: use --engine soft"
        )));
    }
    if supported.physical_bits() < 40 {
        tracing::warn!(
            "this host's processor has short physical addresses: the 64-bit PCI window is out of reach"
        );
    }
    if !names.is_empty() {
        tracing::info!(
            "this host's KVM lacks {}: the guest does, too",
            names.join(", ")
        );
    }
    Ok(missing)
}

/// Memory, interrupt controllers and the like.
fn prepare(vm: &VmFd, ram: &GuestRam) -> Result<(), EngineError> {
    done(vm.set_identity_map_address(IDENTITY_MAP)).map_err(failed("placing KVM's page table"))?;
    done(vm.set_tss_address(TSS)).map_err(failed("placing KVM's TSS"))?;
    slot::map(vm, ram, false).map_err(failed("mapping guest memory into the VM"))?;
    let enable = |capability, argument: u64| {
        let mut request = kvm_enable_cap {
            cap: capability,
            ..Default::default()
        };
        request.args[0] = argument;
        done(vm.enable_cap(&request))
    };
    enable(KVM_CAP_SPLIT_IRQCHIP, PINS.into())
        .map_err(failed("making local interrupt controllers"))?;
    let wide = u64::from(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
    // Kernels before 6.18 know no flag against suppression.
    enable(KVM_CAP_X2APIC_API, wide | X2APIC_NO_SUPPRESSION)
        .or_else(|_| enable(KVM_CAP_X2APIC_API, wide))
        .map_err(failed("asking for x2APIC addresses"))?;
    // Without it (before 5.14) KVM answers by #UD what it can't emulate in user mode.
    let _ = enable(KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1);
    Ok(())
}

impl Shared {
    /// What CPUID depends on, at RESET.
    pub(crate) fn processor(&self, apic_id: u32) -> Processor {
        Processor {
            apic_id,
            cpus: self.cpus,
            tsc_khz: self.time.khz(),
            apic: true,
            osxsave: false,
            xcr0: x86::cr::xcr0::X87,
        }
    }

    /// Makes known how a vCPU is reached.
    pub(crate) fn connect(&self, id: u32, bell: Arc<Bell>) {
        self.bells()[id as usize] = Some(bell);
    }

    fn bells(&self) -> std::sync::MutexGuard<'_, Vec<Option<Arc<Bell>>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_all(&self, what: u32) {
        for bell in self.bells().iter().flatten() {
            bell.ring(what);
        }
    }

    /// Level-triggered interrupts that come with a vCPU's state: we are told their ends.
    pub(crate) fn expect_ends(&self, apic_id: u32, vectors: &[u8]) -> Result<(), EngineError> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for &vector in vectors {
            changed |= routes.learn_pending(apic_id, vector);
        }
        if changed {
            routes
                .install(&self.vm)
                .map_err(failed("routing an interrupt"))?;
        }
        Ok(())
    }

    /// Delivers a message.
    pub(crate) fn send(&self, msi: Msi) {
        if route::is_level(msi) {
            let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            if routes.learn(msi)
                && let Err(error) = routes.install(&self.vm)
            {
                tracing::warn!(%error, "KVM refuses a route for {msi:x?}");
            }
        }
        let message = kvm_msi {
            address_lo: msi.address as u32,
            address_hi: (msi.address >> 32) as u32,
            data: msi.data,
            ..Default::default()
        };
        // That nobody takes it is the guest's doing.
        let _ = self.vm.signal_msi(message);
    }
}

impl Engine for KvmEngine {
    fn vcpu(&self, id: u32) -> Result<Box<dyn Vcpu>, EngineError> {
        Ok(Box::new(self.concrete(id)?))
    }

    fn set_interrupt_line(&self, level: bool) {
        if !self.shared.intr.swap(level, Ordering::SeqCst) && level {
            self.shared.ring_all(bell::PIC);
        }
    }

    fn pulse_nmi(&self) {
        self.shared.ring_all(bell::LINT1);
    }

    fn send_msi(&self, msi: Msi) {
        self.shared.send(msi);
    }

    fn connect_doorbell(&self, address: u64, bell: BorrowedFd<'_>) -> bool {
        if !self.shared.has_doorbells {
            return false;
        }
        let connected = doorbell::connect(&self.shared.vm, address, bell);
        if let Err(error) = &connected {
            tracing::debug!(%error, "KVM refuses a doorbell at {address:#x}");
        }
        connected.is_ok()
    }

    fn disconnect_doorbell(&self, address: u64, bell: BorrowedFd<'_>) {
        if let Err(error) = doorbell::disconnect(&self.shared.vm, address, bell) {
            tracing::warn!(%error, "KVM keeps a doorbell at {address:#x}");
        }
    }

    fn log_dirty(&self, on: bool) -> Result<(), EngineError> {
        let Shared { vm, ram, .. } = &*self.shared;
        ram.flags().log(on);
        slot::map(vm, ram, on).map_err(failed("logging the guest's writes"))
    }

    fn take_dirty(&self) -> Result<Vec<u64>, EngineError> {
        let Shared { vm, ram, .. } = &*self.shared;
        slot::take_dirty(vm, ram).map_err(failed("reading the log of the guest's writes"))
    }

    fn breakpoints(&self) -> Option<usize> {
        Some(debug::REGISTERS)
    }

    fn describe(&self) -> String {
        format!(
            "kvm: hardware virtualization by /dev/kvm, {} vCPU(s), TSC {} kHz",
            self.shared.cpus,
            self.shared.time.khz()
        )
    }

    fn statistics(&self) -> Vec<(&'static str, u64)> {
        Figures::total(&self.shared.figures)
    }
}
