//! A tiny 64-bit machine of one processor, to find out what this host's KVM really does.
//!
//! ```text
//! 1000 PML4   2000 page-directory pointers   3000 page directory: 2 MiB, open to user mode
//! 4000 GDT    5000 IDT: every vector reports itself   6000 TSS   7000 handlers   8000 code   a000 stacks' end
//! ```

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use iface::{Clock, Engine, EngineError, Exit, Io, Kicker, Space, Vcpu};
use mem::{Gpa, GuestRam};
use x86::CpuState;
use x86::cr::{cr0, cr4, efer};
use x86::descriptor::{Attributes, Segment, Table};
use x86::state::gpr;

use crate::capability::Host;
use crate::engine::{Config, KvmEngine};
use crate::error::unsupported;

/// Where code is put.
pub(crate) const CODE: u64 = 0x8000;
const PML4: u64 = 0x1000;
const GDT: u64 = 0x4000;
const IDT: u64 = 0x5000;
const TSS: u64 = 0x6000;
const HANDLERS: u64 = 0x7000;
const KERNEL_STACK: u64 = 0x9800;
const STACK: u64 = 0xa000;
const MEMORY: u64 = 2 << 20;

/// Code writes to this port what it found.
pub(crate) const REPORT: u8 = 0x10;
/// Handlers write their vector to this one.
const TRAP: u8 = 0x11;

/// How an experiment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By a report.
    Reported(u8),
    /// By an exception or interrupt.
    Trapped(u8),
    /// KVM could not go on.
    Stuck,
    /// By a triple fault.
    ShutDown,
    /// It ran out of time.
    Late,
}

/// The machine.
pub(crate) struct Lab {
    vcpu: Box<dyn Vcpu>,
    ram: Arc<GuestRam>,
    witness: Arc<Witness>,
    features: [u32; 4],
}

/// Takes what the guest writes, and stops it.
#[derive(Default)]
struct Witness {
    /// Port and value, and a bit that says so.
    heard: AtomicU32,
    kicker: OnceLock<Arc<dyn Kicker>>,
}

const HEARD: u32 = 1 << 31;
/// It is over, whatever was heard.
const OVER: u32 = 1 << 30;

impl Witness {
    fn is_over(&self) -> bool {
        self.heard.load(Ordering::SeqCst) & (HEARD | OVER) != 0
    }

    fn set_over(&self) {
        self.heard.fetch_or(OVER, Ordering::SeqCst);
    }
}

impl Io for Witness {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn write(&self, space: Space, address: u64, data: &[u8]) {
        if space == Space::Port {
            let value = u32::from(data[0]) | (address as u32 & 0xff) << 8 | HEARD;
            self.heard.store(value, Ordering::SeqCst);
            if let Some(kicker) = self.kicker.get() {
                kicker.kick();
            }
        }
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0xff
    }
}

/// The host's time.
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> u64 {
        host::clock::monotonic()
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }
}

impl Lab {
    /// Makes the machine on KVM; nobody helps where KVM can't emulate.
    pub(crate) fn new(host: Host) -> Result<Self, EngineError> {
        let ram = memory()?;
        let engine = KvmEngine::on(
            host,
            Config {
                ram: ram.clone(),
                clock: Arc::new(HostClock),
                cpus: 1,
                tsc_khz: None,
                assist: false,
            },
        )?;
        Ok(Self::over(ram, engine.vcpu(0)?, engine.told(7, 0)))
    }

    /// Makes the machine around a vCPU; `features` is what CPUID leaf 7 should say.
    pub(crate) fn over(ram: Arc<GuestRam>, vcpu: Box<dyn Vcpu>, features: [u32; 4]) -> Self {
        furnish(&ram);
        let witness = Arc::new(Witness::default());
        witness.kicker.get_or_init(|| vcpu.kicker());
        Self {
            vcpu,
            ram,
            witness,
            features,
        }
    }

    /// The state in which code starts at a privilege level.
    pub(crate) fn state(cpl: u8) -> CpuState {
        let mut state = CpuState::reset(0);
        let data = Segment {
            selector: if cpl == 0 { 0x10 } else { 0x1b },
            base: 0,
            limit: u32::MAX,
            attributes: Attributes(if cpl == 0 { 0xc093 } else { 0xc0f3 }),
        };
        state.segments = [data; 6];
        state.segments[1] = Segment {
            selector: if cpl == 0 { 0x08 } else { 0x23 },
            attributes: Attributes(if cpl == 0 { 0xa09b } else { 0xa0fb }),
            ..data
        };
        state.tr = Segment {
            selector: 0x28,
            base: TSS,
            limit: 0x67,
            attributes: Attributes(0x8b),
        };
        let table = |base, limit| Table { base, limit };
        state.gdtr = table(GDT, 0x37);
        state.idtr = table(IDT, 0xfff);
        state.cr0 = cr0::PE | cr0::PG | cr0::ET | cr0::NE | cr0::WP | cr0::MP;
        state.cr3 = PML4;
        state.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT;
        state.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
        state.rip = CODE;
        state.gpr = [0; 16];
        state.gpr[gpr::RSP] = STACK;
        state
    }

    /// Runs code in a state for at most a time; also what it left, and how long it took.
    pub(crate) fn run(
        &mut self,
        state: &CpuState,
        code: &[u8],
        patience: Duration,
    ) -> Result<(Ending, CpuState, Duration), EngineError> {
        self.put(CODE, code);
        self.witness.heard.store(0, Ordering::SeqCst);
        self.vcpu.load(state)?;
        let io: Arc<dyn Io> = self.witness.clone();
        let kicker = self.vcpu.kicker();
        let start = Instant::now();
        let witness = self.witness.clone();
        let exit = thread::scope(|scope| {
            let alarm = scope.spawn(|| {
                while start.elapsed() < patience {
                    thread::park_timeout(patience.saturating_sub(start.elapsed()));
                    if witness.is_over() {
                        return;
                    }
                }
                kicker.kick();
            });
            // A kick may be left from the run before.
            let exit = loop {
                match self.vcpu.run(&io) {
                    Ok(Exit::Kicked) if !witness.is_over() && start.elapsed() < patience => {}
                    exit => break exit,
                }
            };
            witness.set_over();
            alarm.thread().unpark();
            exit
        });
        let time = start.elapsed();
        let left = self.vcpu.save()?;
        let heard = self.witness.heard.load(Ordering::SeqCst);
        let ending = match exit {
            Err(_) => Ending::Stuck,
            Ok(Exit::Shutdown(_)) => Ending::ShutDown,
            Ok(_) if heard & HEARD == 0 => Ending::Late,
            Ok(_) if heard >> 8 & 0xff == TRAP.into() => Ending::Trapped(heard as u8),
            Ok(_) => Ending::Reported(heard as u8),
        };
        Ok((ending, left, time))
    }

    /// Writes memory.
    fn put(&self, at: u64, bytes: &[u8]) {
        put(&self.ram, at, bytes);
    }

    /// A state that has gone into KVM and come out again.
    pub(crate) fn keep(&mut self, state: &CpuState) -> Result<CpuState, EngineError> {
        self.vcpu.load(state)?;
        self.vcpu.save()
    }

    /// What CPUID leaf 7 should say.
    pub(crate) fn features(&self) -> [u32; 4] {
        self.features
    }
}

/// RAM for a machine.
pub(crate) fn memory() -> Result<Arc<GuestRam>, EngineError> {
    let ram = GuestRam::new(&[(Gpa(0), MEMORY)]);
    Ok(Arc::new(
        ram.map_err(|error| unsupported(error.to_string()))?,
    ))
}

fn put(ram: &GuestRam, at: u64, bytes: &[u8]) {
    ram.write(Gpa(at), bytes).expect("the map lies in RAM");
}

/// Page tables, descriptors, handlers.
fn furnish(ram: &GuestRam) {
    const TABLE: u64 = 0x27;
    const PAGE: u64 = 0xe7;
    let word = |at: u64, value: u64| put(ram, at, &value.to_le_bytes());
    word(PML4, 0x2000 | TABLE);
    word(0x2000, 0x3000 | TABLE);
    word(0x3000, PAGE);
    let descriptors = [
        0,
        0x00af_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_f300_0000_ffff,
        0x00af_fb00_0000_ffff,
        0x0000_8b00_0000_0067 | TSS << 16,
        0,
    ];
    for (index, descriptor) in (0..).zip(descriptors) {
        word(GDT + 8 * index, descriptor);
    }
    word(TSS + 4, KERNEL_STACK);
    for vector in 0..=255_u8 {
        let at = HANDLERS + 8 * u64::from(vector);
        // MOV AL, vector; OUT TRAP, AL; HLT
        put(ram, at, &[0xb0, vector, 0xe6, TRAP, 0xf4, 0xeb, 0xfd, 0x90]);
        let gate = IDT + 16 * u64::from(vector);
        word(gate, at & 0xffff | 0x08 << 16 | 0xee00 << 32);
        word(gate + 8, 0);
    }
}
