//! One guest from its start to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use iface::{Clock, Engine, EngineError, Exit, Io, Vcpu};
use mem::{Gpa, GuestRam};
use tinyguest::{End, RECORD, RECORD_BYTES, STACK, TinyGuest};
use x86::CpuState;
use x86::descriptor::SegmentRegister;
use x86::state::gpr;

use crate::board::Board;
use crate::clock::BoardClock;
use crate::{MakeEngine, Setup};

/// Everything that can be known when a guest is over.
pub struct Ended {
    /// How it ended; nothing when it ran out of time.
    pub end: Option<End>,
    /// Final states by vCPU.
    pub states: Vec<CpuState>,
    /// The vCPU that ended it, where one did.
    pub by: Option<usize>,
    /// Its memory.
    pub ram: Arc<GuestRam>,
    /// What the engine could not do.
    pub errors: Vec<String>,
}

/// What the threads of the vCPUs report.
#[derive(Default)]
struct Reports {
    by: Option<usize>,
    errors: Vec<String>,
}

/// Runs a guest on an engine made by `make`.
///
/// # Panics
/// When the host refuses memory or threads, or the engine the guest's start.
pub fn run(guest: &TinyGuest, make: &MakeEngine<'_>, patience: Duration) -> Ended {
    let ram = Arc::new(GuestRam::new(&[(Gpa(0), guest.memory)]).expect("the host has memory"));
    ram.write(Gpa(guest.load), &guest.binary)
        .expect("a tiny guest fits");
    let board_clock = Arc::new(BoardClock::default());
    let clock: Arc<dyn Clock> = board_clock.clone();
    let setup = Setup {
        ram: ram.clone(),
        clock: clock.clone(),
        cpus: guest.cpus,
    };
    let engine = make(&setup).expect("the engine can be made");
    let board = Arc::new(Board::new(&engine, &clock, guest.memory));
    let mut vcpus = vcpus(guest, &*engine).expect("the engine takes the guest's start");
    board.set_kickers(vcpus.iter().map(|vcpu| vcpu.kicker()).collect());
    let reports = Mutex::new(Reports::default());
    board_clock.start();
    thread::scope(|scope| {
        for (id, vcpu) in vcpus.iter_mut().enumerate() {
            let (board, reports) = (&board, &reports);
            scope.spawn(move || drive(id, &mut **vcpu, board, reports));
        }
        board.keep_time(patience);
        if board.ended().is_none() {
            // Not the guest's doing, but the threads have to end.
            board.give_up();
        }
    });
    let states = vcpus.iter().filter_map(|vcpu| vcpu.save().ok()).collect();
    let reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ended {
        end: board.ended(),
        states,
        by: reports.by,
        ram,
        errors: reports.errors,
    }
}

fn vcpus(guest: &TinyGuest, engine: &dyn Engine) -> Result<Vec<Box<dyn Vcpu>>, EngineError> {
    (0..guest.cpus)
        .map(|id| {
            let mut vcpu = engine.vcpu(id)?;
            if id == 0 {
                vcpu.load(&start(guest))?;
            }
            Ok(vcpu)
        })
        .collect()
}

/// The boot CPU's state.
pub(crate) fn start(guest: &TinyGuest) -> CpuState {
    let mut state = CpuState::reset(0);
    let code = &mut state.segments[SegmentRegister::Cs as usize];
    code.selector = 0;
    code.base = 0;
    state.rip = guest.entry;
    state.gpr = [0; 16];
    state.gpr[gpr::RSP] = STACK;
    state
}

/// The thread of one vCPU.
fn drive(id: usize, vcpu: &mut dyn Vcpu, board: &Arc<Board>, reports: &Mutex<Reports>) {
    let io: Arc<dyn Io> = board.clone();
    let report = || reports.lock().unwrap_or_else(PoisonError::into_inner);
    while !board.is_over() {
        match catch_unwind(AssertUnwindSafe(|| vcpu.run(&io))) {
            Ok(Ok(Exit::Kicked | Exit::Breakpoint(_))) => {}
            Ok(Ok(Exit::Reset)) => board.end(End::Reset),
            Ok(Ok(Exit::Shutdown(_))) => {
                report().by.get_or_insert(id);
                board.end(End::Shutdown);
            }
            Ok(Err(error)) => {
                let details = match &error {
                    EngineError::Differs { report, .. } => report,
                    _ => "",
                };
                let text = format!("vCPU {id}: {error}\n{details}");
                report().errors.push(text.trim_end().to_owned());
                board.give_up();
            }
            Err(_) => {
                report()
                    .errors
                    .push(format!("vCPU {id}: the engine panicked"));
                board.give_up();
            }
        }
    }
}

impl Ended {
    /// What differs from what the guest's header says, in one line.
    pub fn complaint(&self, guest: &TinyGuest) -> Option<String> {
        if let Some(error) = self.errors.first() {
            return Some(error.clone());
        }
        let places = || {
            let places: Vec<_> = self.states.iter().map(CpuState::location).collect();
            places.join("; ")
        };
        let Some(end) = self.end else {
            return Some(format!("did not end in time: {}", places()));
        };
        if end != guest.expect.end {
            let mut record = [0; RECORD_BYTES];
            self.ram
                .read(Gpa(RECORD), &mut record)
                .expect("the record lies in RAM");
            return Some(format!("{} ({})", guest.explain(end, &record), places()));
        }
        self.memory_complaint(guest)
            .or_else(|| self.register_complaint(guest))
    }

    fn memory_complaint(&self, guest: &TinyGuest) -> Option<String> {
        guest.expect.memory.iter().find_map(|(&at, &expected)| {
            let mut bytes = [0; 8];
            self.ram.read(Gpa(at), &mut bytes).ok()?;
            let found = u64::from_le_bytes(bytes);
            (found != expected).then(|| format!("mem[{at:#x}] is {found:#x}, not {expected:#x}"))
        })
    }

    fn register_complaint(&self, guest: &TinyGuest) -> Option<String> {
        let state = self.states.get(self.by.unwrap_or(0))?;
        guest.expect.registers.iter().find_map(|(name, &expected)| {
            let found = register(state, name);
            (found != Some(expected)).then(|| format!("{name} is {found:x?}, not {expected:#x}"))
        })
    }
}

/// A register by its name in headers.
fn register(state: &CpuState, name: &str) -> Option<u64> {
    const NAMES: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
    match name {
        "rip" => Some(state.rip),
        "rflags" => Some(state.rflags),
        _ => {
            let index = NAMES.iter().position(|&known| known == name)?;
            Some(state.gpr[index])
        }
    }
}
