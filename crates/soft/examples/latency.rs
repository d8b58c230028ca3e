//! `latency [NAME]`: how long an interrupt takes to reach a running vCPU, from the message to the first instruction of its
//! handler that a device sees, in loops of several kinds; beside it the same between two plain threads of this host.
//!
//! Twice: in the time of the vCPU's thread alone, which is what the engine is answerable for, and by the clock, where the
//! host's scheduler comes in.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host::clock::Thread;
use iface::{Clock, Engine, Io, Msi, Space};
use mem::{Gpa, GuestRam};
use soft::{Config, SoftEngine, Translate};
use x86::CpuState;
use x86::cr::{cr0, cr4, efer};
use x86::descriptor::{Attributes, Table};
use x86::paging::{LARGE, PRESENT, WRITABLE};

type Error = Box<dyn std::error::Error>;

const RAM: u64 = 160 << 20;
const IDT: u64 = 0x4000;
const GDT: u64 = 0x5000;
const HANDLER: u64 = 0x6000;
const TABLE: u64 = 0x7000;
const STACK: u64 = 0xa000;
const CODE: u64 = 0x20_0000;
const VECTOR: u8 = 0x40;
/// Interrupts for each loop.
const SAMPLES: usize = 500;

/// A loop that never ends: its name and code.
type Loop = (&'static str, Vec<u8>);

fn loops() -> Vec<Loop> {
    // mov edi, 80 MiB; mov ecx, count; ...; jmp to the start
    let string = |count: u32, setup: &[u8], operation: &[u8]| {
        let mut code = vec![0xbf];
        code.extend((80_u32 << 20).to_le_bytes());
        code.push(0xb9);
        code.extend(count.to_le_bytes());
        code.extend(setup);
        code.extend(operation);
        back(code)
    };
    // mov esi, 16 MiB
    let source = [0xbe, 0, 0, 0, 1];
    let mut calls = Vec::new();
    for function in 0..16_u32 {
        calls.extend([0xff, 0x14, 0x25]);
        calls.extend((TABLE as u32 + 8 * function).to_le_bytes());
    }
    // add rax, rbx; xor rdx, rax
    let straight = |bytes: usize| back([0x48, 0x01, 0xd8, 0x48, 0x31, 0xc2].repeat(bytes / 6));
    vec![
        ("tight loop", vec![0xeb, 0xfe]),
        ("16 KiB of straight code", straight(16 << 10)),
        ("1 MiB of straight code", straight(1 << 20)),
        (
            "REP STOSQ of 64 MiB",
            string(8 << 20, &[], &[0xf3, 0x48, 0xab]),
        ),
        (
            "REP MOVSB of 64 MiB",
            string(64 << 20, &source, &[0xf3, 0xa4]),
        ),
        // mov al, 0xff
        (
            "REPNE SCASB of 64 MiB",
            string(64 << 20, &[0xb0, 0xff], &[0xf2, 0xae]),
        ),
        (
            "REPE CMPSB of 64 MiB",
            string(64 << 20, &source, &[0xf3, 0xa6]),
        ),
        // fldpi; fsin; fld1; fpatan; fstp st(0)
        (
            "x87",
            back(vec![
                0xd9, 0xeb, 0xd9, 0xfe, 0xd9, 0xe8, 0xd9, 0xf3, 0xdd, 0xd8,
            ]),
        ),
        ("indirect calls", back(calls)),
    ]
}

/// Code with a jump back to its start.
fn back(mut code: Vec<u8>) -> Vec<u8> {
    let distance = -(code.len() as i32 + 5);
    code.push(0xe9);
    code.extend(distance.to_le_bytes());
    code
}

/// When the handler ran.
struct Bell {
    start: Instant,
    /// Nanoseconds since the start; zero while it has not.
    rung: AtomicU64,
    /// The thread's own time then.
    ran: AtomicU64,
    /// Who rings.
    thread: Mutex<Option<Thread>>,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            rung: AtomicU64::new(0),
            ran: AtomicU64::new(0),
            thread: Mutex::new(None),
        })
    }

    fn ring(&self) {
        self.ran.store(host::clock::thread(), Ordering::Relaxed);
        self.rung.store(self.now(), Ordering::Release);
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

impl Io for Bell {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn write(&self, _: Space, _: u64, _: &[u8]) {
        self.ring();
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0xff
    }
}

struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> u64 {
        host::clock::monotonic()
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }
}

/// Calls `post` now and then, and tells how long each took to ring the bell, in nanoseconds, sorted: in the thread's own
/// time, and by the clock. The first is left out: the host loads pages of this program for it.
fn samples(bell: &Bell, post: impl Fn()) -> [Vec<u64>; 2] {
    let thread = bell.thread.lock().ok().and_then(|thread| *thread);
    let ran = || thread.map_or(0, Thread::time);
    let (mut own, mut times) = (Vec::new(), Vec::new());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    while times.len() <= SAMPLES {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        thread::sleep(Duration::from_nanos(200_000 + (random >> 33) % 800_000));
        bell.rung.store(0, Ordering::Release);
        let (posted, before) = (bell.now(), ran());
        post();
        let limit = posted + 2_000_000_000;
        let rung = loop {
            match bell.rung.load(Ordering::Acquire) {
                0 if bell.now() > limit => break limit,
                0 => std::hint::spin_loop(),
                rung => break rung,
            }
        };
        times.push(rung.saturating_sub(posted));
        own.push(bell.ran.load(Ordering::Relaxed).saturating_sub(before));
    }
    for times in [&mut own, &mut times] {
        times.remove(0);
        times.sort_unstable();
    }
    [own, times]
}

fn print(name: &str, [own, clock]: &[Vec<u64>; 2]) {
    let at =
        |times: &[u64], share: f64| times[((times.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    let three = |times: &[u64]| [0.5, 0.99, 1.0].map(|share| at(times, share));
    let ([a, b, c], [d, e, f]) = (three(own), three(clock));
    println!("| {name} | {a:.1} | {b:.1} | {c:.1} | {d:.1} | {e:.1} | {f:.1} |");
}

/// Two threads, one of which waits for the other's word.
fn plain() {
    let bell = Bell::new();
    let word = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (its_bell, its_word, its_stop) = (bell.clone(), word.clone(), stop.clone());
    let waiter = thread::spawn(move || {
        *its_bell.thread.lock().expect("nobody panics") = Some(Thread::this());
        while !its_stop.load(Ordering::Relaxed) {
            if its_word.swap(0, Ordering::AcqRel) != 0 {
                its_bell.ring();
            }
        }
    });
    thread::sleep(Duration::from_millis(200));
    let times = samples(&bell, || word.store(1, Ordering::Release));
    stop.store(true, Ordering::Relaxed);
    let _ = waiter.join();
    print("two plain threads", &times);
}

/// The guest's memory: tables, the handler, functions to call, a program that switches the local APIC on.
fn memory(code: &[u8]) -> Result<Arc<GuestRam>, Error> {
    let ram = Arc::new(GuestRam::new(&[(Gpa(0), RAM)])?);
    let quad = |at: u64, value: u64| ram.write(Gpa(at), &value.to_le_bytes());
    quad(0x1000, 0x2000 | PRESENT | WRITABLE)?;
    for page in 0..4 {
        quad(0x2000 + 8 * page, page << 30 | PRESENT | WRITABLE | LARGE)?;
    }
    quad(GDT + 8, 0x00af_9b00_0000_ffff)?;
    quad(GDT + 16, 0x00cf_9300_0000_ffff)?;
    let gate = IDT + 16 * u64::from(VECTOR);
    quad(
        gate,
        HANDLER & 0xffff | 8 << 16 | 0x8e << 40 | HANDLER >> 16 << 48,
    )?;
    // push rax; out 0x80, al; xor eax, eax; mov [0xfee000b0], eax; pop rax; iretq
    let handler = [
        0x50, 0xe6, 0x80, 0x31, 0xc0, 0x67, 0x89, 0x04, 0x25, 0xb0, 0, 0xe0, 0xfe, 0x58, 0x48, 0xcf,
    ];
    ram.write(Gpa(HANDLER), &handler)?;
    for function in 0..16 {
        let at = 0x8000 + 64 * function;
        quad(TABLE + 8 * function, at)?;
        // inc eax; ret
        ram.write(Gpa(at), &[0xff, 0xc0, 0xc3])?;
    }
    // mov dword ptr [0xfee000f0], 0x1ff; sti
    let mut program = vec![
        0x67, 0xc7, 0x04, 0x25, 0xf0, 0, 0xe0, 0xfe, 0xff, 1, 0, 0, 0xfb,
    ];
    program.extend(code);
    ram.write(Gpa(CODE), &program)?;
    Ok(ram)
}

fn state() -> CpuState {
    let mut state = CpuState::reset(0);
    state.cr0 = cr0::PE | cr0::PG | cr0::ET | cr0::WP | cr0::NE;
    state.cr3 = 0x1000;
    state.cr4 = cr4::PAE | cr4::PGE;
    state.efer = efer::LME | efer::LMA;
    for segment in &mut state.segments {
        segment.selector = 16;
        segment.limit = 0xffff_ffff;
        segment.attributes = Attributes(0xc093);
    }
    state.segments[1].base = 0;
    state.segments[1].selector = 8;
    state.segments[1].attributes = Attributes(0xa09b);
    let table = |base, limit| Table { base, limit };
    state.gdtr = table(GDT, 23);
    state.idtr = table(IDT, 0xfff);
    state.rip = CODE;
    state.gpr[4] = STACK;
    state
}

fn measure(name: &str, code: &[u8], translate: Translate) -> Result<(), Error> {
    let engine = SoftEngine::new(Config {
        ram: memory(code)?,
        clock: Arc::new(HostClock),
        cpus: 1,
        tsc_khz: Config::TSC_KHZ,
        translate,
        code_cache: Config::CODE_CACHE,
    })?;
    let mut vcpu = engine.vcpu(0)?;
    vcpu.load(&state())?;
    let kicker = vcpu.kicker();
    let bell = Bell::new();
    let its_bell = bell.clone();
    let io: Arc<dyn Io> = bell.clone();
    let runner = thread::spawn(move || {
        *its_bell.thread.lock().expect("nobody panics") = Some(Thread::this());
        vcpu.run(&io).map_err(|error| error.to_string())
    });
    // Until what is hot is translated.
    thread::sleep(Duration::from_millis(200));
    let msi = Msi {
        address: 0xfee0_0000,
        data: u32::from(VECTOR),
    };
    let times = samples(&bell, || engine.send_msi(msi));
    kicker.kick();
    runner.join().map_err(|_| "the vCPU panicked")??;
    print(name, &times);
    Ok(())
}

fn main() -> Result<(), Error> {
    let filter = std::env::args().nth(1).unwrap_or_default();
    println!(
        "| microseconds | own time: median | p99 | most | by the clock: median | p99 | most |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    plain();
    for (name, code) in loops().iter().filter(|(name, _)| name.contains(&filter)) {
        measure(name, code, Translate::default())?;
        measure(&format!("{name}, interpreted"), code, Translate::Never)?;
    }
    plain();
    Ok(())
}
