//! A guest that is handed from engine to engine while it runs.
//!
//! The engines share RAM and board; at random moments the running one is stopped, its vCPU's state saved, and loaded
//! into the other one's, which goes on. Interrupts go to whichever engine has the guest, and wait while it moves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use iface::{Clock, Engine, EngineError, Exit, Io, Msi, Vcpu};
use mem::{Gpa, GuestRam};
use tinyguest::{End, TinyGuest};
use x86::CpuState;

use crate::board::Board;
use crate::clock::BoardClock;
use crate::session::start;
use crate::{MakeEngine, Setup};

/// An engine to be stopped after a random time.
pub struct Host<'a> {
    /// Makes the engine.
    pub make: &'a MakeEngine<'a>,
    /// Microseconds for which it runs at most.
    pub most: u64,
}

/// How it went.
pub struct Moved {
    /// How the guest ended; nothing when it ran out of time.
    pub end: Option<End>,
    /// The final state.
    pub state: CpuState,
    /// The guest's memory.
    pub ram: Arc<GuestRam>,
    /// How often each engine took the guest over while it ran.
    pub moves: [u32; 2],
    /// What an engine could not do.
    pub error: Option<String>,
}

/// Both engines behind the one that devices see.
struct Pair {
    engines: [Arc<dyn Engine>; 2],
    current: RwLock<usize>,
}

impl Engine for Pair {
    fn vcpu(&self, _: u32) -> Result<Box<dyn Vcpu>, EngineError> {
        Err(EngineError::State("each of the two has its own".into()))
    }

    fn set_interrupt_line(&self, level: bool) {
        for engine in &self.engines {
            engine.set_interrupt_line(level);
        }
    }

    fn pulse_nmi(&self) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        self.engines[*current].pulse_nmi();
    }

    fn send_msi(&self, msi: Msi) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        self.engines[*current].send_msi(msi);
    }

    fn describe(&self) -> String {
        "a pair".into()
    }
}

/// Runs a guest of one CPU on two engines in turn, beginning with the first. The moments depend on `seed` and on
/// the host.
///
/// # Panics
/// When the host refuses memory or threads, or an engine the guest's start.
pub fn run(guest: &TinyGuest, hosts: &[Host<'_>; 2], seed: u64, patience: Duration) -> Moved {
    assert_eq!(guest.cpus, 1, "one processor moves");
    let ram = Arc::new(GuestRam::new(&[(Gpa(0), guest.memory)]).expect("the host has memory"));
    ram.write(Gpa(guest.load), &guest.binary)
        .expect("a tiny guest fits");
    let board_clock = Arc::new(BoardClock::default());
    let clock: Arc<dyn Clock> = board_clock.clone();
    let setup = Setup {
        ram: ram.clone(),
        clock: clock.clone(),
        cpus: 1,
    };
    let engines = [0, 1].map(|index: usize| {
        let host: &Host<'_> = &hosts[index];
        (host.make)(&setup).expect("the engine can be made")
    });
    let pair = Arc::new(Pair {
        engines,
        current: RwLock::new(0),
    });
    let shared: Arc<dyn Engine> = pair.clone();
    let board = Arc::new(Board::new(&shared, &clock, guest.memory));
    let mut vcpus = [0, 1].map(|index: usize| {
        let vcpu = pair.engines[index].vcpu(0);
        vcpu.expect("the engine has a vCPU")
    });
    board.set_kickers(vcpus.iter().map(|vcpu| vcpu.kicker()).collect());
    vcpus[0]
        .load(&start(guest))
        .expect("the engine takes the guest's start");
    let most = [0, 1].map(|index: usize| hosts[index].most);
    board_clock.start();
    let (mut moves, mut error) = ([0; 2], None);
    thread::scope(|scope| {
        let drive = scope.spawn(|| {
            let result = drive(&pair, &mut vcpus, &board, most, seed);
            board.give_up();
            result
        });
        board.keep_time(patience);
        if board.ended().is_none() {
            board.give_up();
        }
        match drive.join().expect("engines do not panic") {
            Ok(count) => moves = count,
            Err(reason) => error = Some(reason.to_string()),
        }
    });
    let last = *pair.current.read().unwrap_or_else(PoisonError::into_inner);
    Moved {
        end: board.ended(),
        state: vcpus[last].save().expect("the state can be saved"),
        ram,
        moves,
        error,
    }
}

/// Runs the guest here and there until it has ended.
fn drive(
    pair: &Pair,
    vcpus: &mut [Box<dyn Vcpu>; 2],
    board: &Arc<Board>,
    most: [u64; 2],
    mut seed: u64,
) -> Result<[u32; 2], EngineError> {
    let io: Arc<dyn Io> = board.clone();
    let mut moves = [0; 2];
    let mut current = 0;
    while !board.is_over() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let time = Duration::from_nanos(seed % (most[current] * 1000).max(1));
        if run_for(&mut *vcpus[current], &io, time)? {
            board.end(End::Shutdown);
        }
        if board.is_over() {
            break;
        }
        let next = 1 - current;
        let mut has_guest = pair.current.write().unwrap_or_else(PoisonError::into_inner);
        let state = vcpus[current].save()?;
        vcpus[next].load(&state)?;
        *has_guest = next;
        current = next;
        moves[current] += 1;
    }
    Ok(moves)
}

/// Runs a vCPU for about a time; true when it shut down.
fn run_for(vcpu: &mut dyn Vcpu, io: &Arc<dyn Io>, time: Duration) -> Result<bool, EngineError> {
    /// What the host's timers can be late by; the rest is spun.
    const SPIN: Duration = Duration::from_micros(200);
    let kicker = vcpu.kicker();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let timer = scope.spawn(|| {
            let start = Instant::now();
            while start.elapsed() < time {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                match time.saturating_sub(start.elapsed() + SPIN) {
                    Duration::ZERO => std::hint::spin_loop(),
                    left => thread::park_timeout(left),
                }
            }
            kicker.kick();
        });
        let exit = vcpu.run(io);
        over.store(true, Ordering::SeqCst);
        timer.thread().unpark();
        Ok(matches!(exit?, Exit::Shutdown(_)))
    })
}

impl Moved {
    /// What differs from the end of a run that nobody disturbed, in one line. Bytes of RAM in `volatile` pages, time
    /// and the local APIC may.
    pub fn difference(&self, undisturbed: &Self, volatile: &[u64]) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(error.clone());
        }
        if self.end != undisturbed.end {
            return Some(format!("{:?}, not {:?}", self.end, undisturbed.end));
        }
        let timeless = |state: &CpuState| {
            let mut state = state.clone();
            state.tsc = 0;
            state.lapic.regs.clear();
            state.lapic.timer_remaining = None;
            state
        };
        let (found, expected) = (timeless(&self.state), timeless(&undisturbed.state));
        if found != expected {
            let (found, expected) = (format!("{found:#x?}"), format!("{expected:#x?}"));
            let mut lines = found.lines().zip(expected.lines());
            let line = lines.find(|(found, expected)| found != expected);
            return Some(format!("the state differs: {line:?}"));
        }
        let pages = (0..self.ram.size() / mem::PAGE_SIZE).filter(|page| !volatile.contains(page));
        let page = |ram: &GuestRam, number: u64| {
            let mut bytes = vec![0; mem::PAGE_SIZE as usize];
            let read = ram.read(Gpa(number * mem::PAGE_SIZE), &mut bytes);
            read.expect("the page lies in RAM");
            bytes
        };
        pages.into_iter().find_map(|number| {
            let (found, expected) = (page(&self.ram, number), page(&undisturbed.ram, number));
            let at = found
                .iter()
                .zip(&expected)
                .position(|(one, other)| one != other)?;
            let address = number * mem::PAGE_SIZE + at as u64;
            Some(format!(
                "byte {address:#x} is {:#x}, not {:#x}",
                found[at], expected[at]
            ))
        })
    }
}
