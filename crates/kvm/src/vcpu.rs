//! A virtual processor: in and out of the guest.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use iface::{Debug, EngineError, Exit, Io, Kicker, Shutdown, Space, Stop, Vcpu};
use kvm_bindings::{
    KVM_EXIT_DEBUG, KVM_EXIT_FAIL_ENTRY, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_INTR, KVM_EXIT_IO,
    KVM_EXIT_IOAPIC_EOI, KVM_EXIT_IRQ_WINDOW_OPEN, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN,
    KVM_EXIT_SYSTEM_EVENT, KVM_EXIT_UNKNOWN, KVM_SYSTEM_EVENT_RESET,
};
use kvm_ioctls::VcpuFd;
use rustix::io::Errno;
use soft::Assistant;
use x86::CpuState;

use crate::bell::{self, Bell};
use crate::engine::Shared;
use crate::error::{failed, unsupported};
use crate::figure::Figure;
use crate::ioctl::{self, done};
use crate::msr::Known;
use crate::page::RunPage;
use crate::{cpuid, state};

/// No exit reason of the kernel's: says that the guest was not entered.
const NOT_ENTERED: u32 = 0xffff;

/// A vCPU of the KVM engine.
pub(crate) struct KvmVcpu {
    pub(crate) fd: VcpuFd,
    pub(crate) id: u32,
    pub(crate) shared: Arc<Shared>,
    page: RunPage,
    bell: Arc<Bell>,
    /// The registers that KVM has here.
    pub(crate) msrs: Known,
    /// What was last loaded: has what KVM does not keep.
    pub(crate) loaded: CpuState,
    /// An access has been answered, and the guest has not been entered since.
    unfinished: bool,
    /// An interrupt of the PIC was handed to KVM, and the guest has not been entered since.
    pub(crate) handed: Option<u8>,
    /// The processor has shut down.
    pub(crate) is_shut_down: bool,
    /// The shift of the machine's time that the TSC has; see [`crate::time`].
    pub(crate) shift: u64,
    /// KVM gives the guest the host's own TSC here, whatever it is told.
    pub(crate) is_tsc_fixed: bool,
    /// What a debugger wants.
    pub(crate) debug: Debug,
    /// Executes what KVM can't, once needed.
    pub(crate) assistant: Option<Assistant>,
}

/// Kicks one vCPU.
struct KvmKicker(Arc<Bell>);

impl Kicker for KvmKicker {
    fn kick(&self) {
        self.0.ring(bell::KICK);
    }
}

impl KvmVcpu {
    /// Makes the vCPU with this index and APIC ID, in its state after RESET.
    pub(crate) fn new(shared: Arc<Shared>, id: u32) -> Result<Self, EngineError> {
        let fd = done(shared.vm.create_vcpu(id.into())).map_err(failed("making a vCPU"))?;
        let map = || RunPage::map(borrowed(&fd), shared.vm.run_size());
        let page = map().map_err(failed("mapping a vCPU"))?;
        let bell = Arc::new(Bell::new(map().map_err(failed("mapping a vCPU"))?));
        set_frequency(&fd, &shared)?;
        let table = cpuid::table(&shared.processor(id), &shared.missing);
        done(fd.set_cpuid2(&table)).map_err(failed("setting the guest's CPUID"))?;
        let msrs = Known::find(&fd);
        shared.connect(id, bell.clone());
        let mut vcpu = Self {
            fd,
            id,
            shared,
            page,
            bell,
            msrs,
            loaded: CpuState::reset(id),
            unfinished: false,
            handed: None,
            is_shut_down: false,
            shift: 0,
            is_tsc_fixed: false,
            debug: Debug::default(),
            assistant: None,
        };
        vcpu.load(&CpuState::reset(id))?;
        Ok(vcpu)
    }

    pub(crate) fn count(&self, figure: Figure, count: u64) {
        self.shared.figures[self.id as usize].add(figure, count);
    }

    /// Runs the guest until there is a reason to come back.
    fn run_until_exit(&mut self, io: &Arc<dyn Io>) -> Result<Exit, EngineError> {
        let mut kicked = false;
        loop {
            let wanted = self.bell.answer();
            kicked |= wanted & bell::KICK != 0;
            if wanted & bell::LINT1 != 0 {
                self.signal_lint1()?;
            }
            if kicked && !self.unfinished {
                return Ok(Exit::Kicked);
            }
            if kicked || self.is_step_unfinished() {
                self.bell.close();
            } else {
                self.offer_pic(&**io)?;
            }
            if let Some(exit) = self.enter(io)? {
                if kicked {
                    self.bell.put_back(bell::KICK);
                }
                return Ok(exit);
            }
        }
    }

    /// Whether the instruction that the debugger wants has only its access to complete: KVM forgets such steps.
    fn is_step_unfinished(&self) -> bool {
        self.unfinished && self.debug.step
    }

    /// Enters the guest once, and does what it is left for.
    fn enter(&mut self, io: &Arc<dyn Io>) -> Result<Option<Exit>, EngineError> {
        self.page.set_exit_reason(NOT_ENTERED);
        self.count(Figure::Entries, 1);
        match ioctl::run(self.fd.as_raw_fd()) {
            Ok(()) => {
                self.unfinished = false;
                self.handed = None;
                self.handle(io)
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {
                    let stepped = self.is_step_unfinished();
                    self.unfinished = false;
                    if self.page.exit_reason() == KVM_EXIT_INTR {
                        self.handed = None;
                    }
                    Ok(stepped.then_some(Exit::Breakpoint(Stop::Step)))
                }
                // A processor that waited for its SIPI has something to look at.
                Some(Errno::AGAIN) => Ok(None),
                _ => Err(self.stuck(&format!("KVM_RUN: {error}"))),
            },
        }
    }

    fn handle(&mut self, io: &Arc<dyn Io>) -> Result<Option<Exit>, EngineError> {
        match self.page.exit_reason() {
            KVM_EXIT_IO => self.answer_ports(&**io),
            KVM_EXIT_MMIO => self.answer_memory(&**io),
            KVM_EXIT_IOAPIC_EOI => {
                self.count(Figure::Ends, 1);
                io.end_of_interrupt(self.page.ended_vector());
            }
            KVM_EXIT_IRQ_WINDOW_OPEN | KVM_EXIT_INTR => {}
            KVM_EXIT_DEBUG => return self.debug_trap(self.page.debug_trap()),
            KVM_EXIT_SHUTDOWN => {
                self.is_shut_down = true;
                return self.shutdown().map(Some);
            }
            KVM_EXIT_SYSTEM_EVENT if self.page.system_event() == KVM_SYSTEM_EVENT_RESET => {
                return Ok(Some(Exit::Reset));
            }
            KVM_EXIT_INTERNAL_ERROR if self.shared.asks_for_help => return self.ask_for_help(io),
            KVM_EXIT_INTERNAL_ERROR => {
                let error = self.page.internal_error();
                let words = &error.data[..error.words];
                let what = format!(
                    "KVM can't emulate: suberror {}, data {words:x?}",
                    error.code
                );
                return Err(self.stuck(&what));
            }
            reason @ (KVM_EXIT_FAIL_ENTRY | KVM_EXIT_UNKNOWN) => {
                let hardware = self.page.hardware_reason();
                let what =
                    format!("KVM gave up: exit reason {reason}, hardware reason {hardware:#x}");
                return Err(self.stuck(&what));
            }
            reason => return Err(self.stuck(&format!("KVM gave up: exit reason {reason}"))),
        }
        Ok(None)
    }

    fn answer_ports(&mut self, io: &dyn Io) {
        self.unfinished = true;
        let access = self.page.port_access();
        self.count(Figure::Ports, access.count as u64);
        let port = access.port.into();
        for data in self
            .page
            .port_data(access)
            .chunks_exact_mut(access.size.max(1))
        {
            if access.write {
                io.write(Space::Port, port, data);
            } else {
                io.read(Space::Port, port, data);
            }
        }
    }

    fn answer_memory(&mut self, io: &dyn Io) {
        self.unfinished = true;
        self.count(Figure::Memory, 1);
        let (address, write, data) = self.page.memory_access();
        if write {
            io.write(Space::Memory, address, data);
        } else {
            io.read(Space::Memory, address, data);
        }
    }

    /// Hands the PIC's interrupt to the guest, or asks to be told when it can take one.
    fn offer_pic(&mut self, io: &dyn Io) -> Result<(), EngineError> {
        if !self.shared.intr.load(Ordering::SeqCst) {
            self.page.request_interrupt_window(false);
            return Ok(());
        }
        // What KVM said last holds when the guest has not changed since.
        let ready = !self.unfinished && self.handed.is_none() && self.page.is_ready_for_interrupt();
        self.page.request_interrupt_window(!ready);
        if ready {
            let vector = io.acknowledge();
            self.count(Figure::Pic, 1);
            ioctl::interrupt(&self.fd, vector).map_err(failed("handing over an interrupt"))?;
            self.handed = Some(vector);
        }
        Ok(())
    }

    /// A pulse at LINT1: what the local APIC makes of it.
    fn signal_lint1(&mut self) -> Result<(), EngineError> {
        if state::lapic::is_lint1_nmi(&state::lapic::read(self)?) {
            done(self.fd.nmi()).map_err(failed("raising an NMI"))?;
        }
        Ok(())
    }

    /// Whether a pulse at LINT1 came that nobody has looked at.
    pub(crate) fn is_lint1_waiting(&self) -> bool {
        self.bell.wanted() & bell::LINT1 != 0
    }

    pub(crate) fn shutdown(&self) -> Result<Exit, EngineError> {
        Ok(Exit::Shutdown(Shutdown {
            reason: "triple fault".to_owned(),
            location: self.save()?.location(),
        }))
    }

    /// The engine can't go on here.
    pub(crate) fn stuck(&self, reason: &str) -> EngineError {
        EngineError::Stuck {
            reason: reason.to_owned(),
            location: self
                .save()
                .map_or_else(|error| error.to_string(), |state| state.location()),
        }
    }
}

impl Vcpu for KvmVcpu {
    fn run(&mut self, io: &Arc<dyn Io>) -> Result<Exit, EngineError> {
        if self.is_shut_down {
            return self.shutdown();
        }
        self.keep_time()?;
        self.bell.enter();
        let result = self.run_until_exit(io);
        self.bell.leave();
        result
    }

    fn save(&self) -> Result<CpuState, EngineError> {
        state::save(self)
    }

    fn load(&mut self, state: &CpuState) -> Result<(), EngineError> {
        state::load(self, state)
    }

    fn set_debug(&mut self, debug: &Debug) -> Result<(), EngineError> {
        self.debug(debug)
    }

    fn kicker(&self) -> Arc<dyn Kicker> {
        Arc::new(KvmKicker(self.bell.clone()))
    }
}

/// Gives the vCPU the machine's TSC frequency.
fn set_frequency(fd: &VcpuFd, shared: &Shared) -> Result<(), EngineError> {
    let khz = shared.time.khz();
    let own = done(fd.get_tsc_khz()).map_err(failed("asking for the TSC's frequency"))?;
    if own == khz {
        return Ok(());
    }
    let refuse = |error: io::Error| {
        unsupported(format!(
            "a TSC of {khz} kHz, where this host's processor runs at {own} kHz and can't scale ({error}): \
             leave the frequency to the host, or use --engine soft"
        ))
    };
    if !shared.host.scales_tsc() {
        return Err(refuse(io::ErrorKind::Unsupported.into()));
    }
    done(fd.set_tsc_khz(khz)).map_err(refuse)
}

#[allow(unsafe_code, reason = "kvm-ioctls has no AsFd")]
fn borrowed(fd: &VcpuFd) -> BorrowedFd<'_> {
    // SAFETY: it is open as long as it is borrowed.
    unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }
}
