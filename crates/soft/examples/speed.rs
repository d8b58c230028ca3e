//! `speed [NAME]`: how fast the software processor runs a few loops, in millions of instructions per second.
//! `INTERPRET=1` in the environment turns translation off. The best of several runs, in the thread's own time; the loops are machine code for flat 64-bit mode over tiny page tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iface::{Clock, Engine, EngineError, Exit, Io, Kicker, Space};
use mem::{Gpa, GuestRam};
use soft::{Config, SoftEngine};
use x86::CpuState;
use x86::cr::{cr0, cr4, efer, xcr0};
use x86::descriptor::Attributes;
use x86::paging::{LARGE, PRESENT, USER, WRITABLE};

const RAM: u64 = 16 << 20;
const CODE: u64 = 0x20_0000;
const DATA: u64 = 0x40_0000;
const STACK: u64 = 0x60_0000;
/// `out 0xf4, al`.
const OUT: [u8; 2] = [0xe6, 0xf4];
const RUNS: usize = 9;

struct Loop {
    name: &'static str,
    /// Runs RCX times.
    code: &'static str,
    times: u64,
    /// Instructions in each round.
    instructions: f64,
}

const LOOPS: [Loop; 10] = [
    // mov rdx, rax; shl rdx, 13; xor rax, rdx; mov rdx, rax; shr rdx, 7; xor rax, rdx; lea rbx, [rax+rcx*4+5];
    // add rsi, rbx; and ebx, 255; cmp ebx, 17; cmovb rdi, rsi; dec rcx; jnz
    Loop {
        name: "integer",
        code: "4889c248c1e20d4831d04889c248c1ea074831d0488d5c88054801de81e3ff00000083fb11480f42fe48ffc975d2",
        times: 2_000_000,
        instructions: 13.0,
    },
    // mov rax, [r8+rdx*8]; add rax, rcx; mov [r9+rdx*8], rax; movzx ebx, byte ptr [r8+rdx]; add [r9], rbx;
    // push rax; inc edx; and edx, 1023; pop rbx; cmp dword ptr [r8+rdx*4], 77; je; sub rcx, 1; jnz
    Loop {
        name: "memory",
        code: "498b04d04801c8498904d1410fb61c1049011950ffc281e2ff0300005b41833c904d74064883e90175d690",
        times: 2_000_000,
        instructions: 13.0,
    },
    // Two calls of a function with two ends.
    Loop {
        name: "calls",
        code: "eb17554889e5f7c70100000074054801f85dc34883e803c9c389cfe8e2ffffff8d3c07e8daffffff48ffc975ec",
        times: 1_500_000,
        instructions: 20.0,
    },
    // A linear congruence whose bits decide five branches.
    Loop {
        name: "branches",
        code: "480fafc3480539300000480fbae02872044883c601480fbae02a73034831c648a90000010075034829f73cc8770348ffc748ffc975ca",
        times: 1_500_000,
        instructions: 14.2,
    },
    // mov rdx, rcx; 64 bytes by rep movsb, 4096 bytes by rep stosq; dec rdx; jnz
    Loop {
        name: "copy",
        code: "4889ca4c89c64c89cfb940000000f3a4b900020000f348ab48ffca75e6",
        times: 300_000,
        instructions: 8.0,
    },
    // Eight of SSE2's integer instructions, two of them on memory; add edx, 16; and edx, 1023; dec rcx; jnz
    Loop {
        name: "sse",
        code: "f3410f6f0410660ffec8660f70d11b660fefda660f6fe3660f73d407660fefdcf3410f7f1c1183c21081e2ff03000048ffc975cc",
        times: 500_000,
        instructions: 12.0,
    },
    // Seven of SSE2's scalar instructions, two of them on memory, five under MXCSR; dec rcx; jnz
    Loop {
        name: "scalar",
        code: "b803000000f20f2ac8f20f10d1f2410f1000f20f58c1f20f59c2f20f5ec1f20f51d8f20f5cdaf2410f111948ffc975dd",
        times: 500_000,
        instructions: 9.0,
    },
    // Seven of AVX2's, two of them on memory; add edx, 32; and edx, 1023; dec rcx; jnz
    Loop {
        name: "avx",
        code: "c4c17e6f0410c5f5fec8c4e27500d0c5e5efdac5dd73d307c5e5efdcc4c17e7f1c1183c22081e2ff03000048ffc975d0",
        times: 500_000,
        instructions: 11.0,
    },
    // fld [r8]; fadd st, st(1); fmul st, st(1); fsqrt; fstp [r9]; dec rcx; jnz
    Loop {
        name: "x87",
        code: "dbe3d9e841dd00d8c1d8c9d9fa41dd1948ffc975ef",
        times: 500_000,
        instructions: 7.0,
    },
    // mov ax, [bx+si]; add ax, cx; mov [di], ax; push ax; pop dx; inc si; and si, 1023; dec ecx; jnz
    Loop {
        name: REAL,
        code: "8b0001c88905505a4681e6ff03664975ef",
        times: 1_000_000,
        instructions: 9.0,
    },
];

/// The loop that runs in real mode.
const REAL: &str = "real mode";

/// Whatever is written ends the run.
struct Stop {
    kicker: Arc<dyn Kicker>,
    stopped: AtomicBool,
}

impl Io for Stop {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn write(&self, _: Space, _: u64, _: &[u8]) {
        self.stopped.store(true, Ordering::SeqCst);
        self.kicker.kick();
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

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).expect("loops are hexadecimal") as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// 64-bit mode, the first GiB mapped one to one by large pages.
fn state(times: u64) -> CpuState {
    let mut state = CpuState::reset(0);
    state.cr0 = cr0::PE | cr0::PG | cr0::ET | cr0::WP | cr0::NE;
    state.cr3 = 0x1000;
    state.cr4 = cr4::PAE | cr4::PGE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
    state.xcr0 = xcr0::ALL;
    state.efer = efer::LME | efer::LMA;
    for segment in &mut state.segments {
        segment.selector = 16;
        segment.limit = 0xffff_ffff;
        segment.attributes = Attributes(0xc093);
    }
    state.segments[1].base = 0;
    state.segments[1].selector = 8;
    state.segments[1].attributes = Attributes(0xa09b);
    state.rip = CODE;
    state.gpr[0] = 0x9e37_79b9_7f4a_7c15;
    state.gpr[1] = times;
    state.gpr[2] = 0;
    state.gpr[3] = 6_364_136_223_846_793_005;
    state.gpr[4] = STACK;
    state.gpr[8] = DATA;
    state.gpr[9] = DATA + 0x1_0000;
    state
}

/// Real mode, with segments as large as they get.
fn real(times: u64) -> CpuState {
    let mut state = CpuState::reset(0);
    for (segment, base) in state
        .segments
        .iter_mut()
        .zip([DATA, CODE, STACK, DATA, DATA, DATA])
    {
        segment.base = base;
    }
    state.rip = 0;
    state.gpr[1] = times;
    state.gpr[4] = 0x8000;
    state
}

/// Seconds for one run.
fn run(work: &Loop) -> Result<f64, Box<dyn std::error::Error>> {
    let ram = Arc::new(GuestRam::new(&[(Gpa(0), RAM)])?);
    let mut code = bytes(work.code);
    code.extend(OUT);
    ram.write(Gpa(CODE), &code)?;
    let table = PRESENT | WRITABLE | USER;
    ram.write(Gpa(0x1000), &(0x2000 | table).to_le_bytes())?;
    ram.write(Gpa(0x2000), &(0x3000 | table).to_le_bytes())?;
    for page in 0..512_u64 {
        let entry = page << 21 | table | LARGE;
        ram.write(Gpa(0x3000 + page * 8), &entry.to_le_bytes())?;
    }
    let engine = SoftEngine::new(Config {
        ram,
        clock: Arc::new(HostClock),
        cpus: 1,
        tsc_khz: Config::TSC_KHZ,
        translate: match std::env::var_os("INTERPRET") {
            Some(_) => soft::Translate::Never,
            None => soft::Translate::default(),
        },
        code_cache: Config::CODE_CACHE,
    })?;
    let mut vcpu = engine.vcpu(0)?;
    vcpu.load(&match work.name {
        REAL => real(work.times),
        _ => state(work.times),
    })?;
    let stop = Arc::new(Stop {
        kicker: vcpu.kicker(),
        stopped: AtomicBool::new(false),
    });
    let io: Arc<dyn Io> = stop.clone();
    let begin = host::clock::thread();
    let exit = vcpu.run(&io)?;
    let seconds = (host::clock::thread() - begin) as f64 / 1e9;
    if exit != Exit::Kicked || !stop.stopped.load(Ordering::SeqCst) {
        let reason = format!("{exit:?} at {}", vcpu.save()?.location());
        return Err(EngineError::State(reason).into());
    }
    Ok(seconds)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = std::env::args().nth(1).unwrap_or_default();
    for work in LOOPS.iter().filter(|work| work.name.contains(&filter)) {
        let mut seconds = (0..RUNS)
            .map(|_| run(work))
            .collect::<Result<Vec<_>, _>>()?;
        seconds.sort_by(f64::total_cmp);
        let round = seconds[0] / work.times as f64;
        println!(
            "{:10} {:8.2} ns a round, {:6.2} ns an instruction, {:6.1} M instructions/s",
            work.name,
            round * 1e9,
            round * 1e9 / work.instructions,
            work.instructions / round / 1e6
        );
    }
    Ok(())
}
