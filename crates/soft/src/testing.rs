//! A bare processor for unit tests: 16 MiB of RAM from address zero, and a machine that remembers what was
//! written to it.

use std::sync::{Arc, Mutex};

use iface::{Clock, Io, Space};
use mem::{Gpa, GuestRam};
use x86::cr::{cr0, cr4, efer, xcr0};
use x86::descriptor::Attributes;
use x86::paging::{PRESENT, USER, WRITABLE};
use x86::state::gpr::RSP;

use crate::cpu::Cpu;
use crate::engine::Config;
use crate::run::Processor;
use crate::trap::R;

/// RAM of the tests' machine.
pub(crate) const RAM: u64 = 16 << 20;

/// A machine without devices: reads give ones in every byte, or for ports the port's number; writes are kept.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// Writes in order: space, address, bytes.
    pub(crate) writes: Mutex<Vec<(Space, u64, Vec<u8>)>>,
}

impl Io for Recorder {
    fn read(&self, space: Space, address: u64, data: &mut [u8]) {
        match space {
            Space::Port => {
                let from = address.to_le_bytes();
                data.copy_from_slice(&from[..data.len()]);
            }
            Space::Memory => data.fill(0xff),
        }
    }

    fn write(&self, space: Space, address: u64, data: &[u8]) {
        let mut writes = self
            .writes
            .lock()
            .expect("no test panics while it holds this");
        writes.push((space, address, data.to_vec()));
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0
    }
}

/// The host's clocks.
#[derive(Debug)]
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> u64 {
        host::clock::monotonic()
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }
}

/// A processor after RESET, and its machine.
pub(crate) fn cpu() -> (Cpu, Arc<Recorder>) {
    cpu_with(Arc::new(HostClock))
}

/// A processor after RESET with a clock of the test's own, and its machine.
pub(crate) fn cpu_with(clock: Arc<dyn Clock>) -> (Cpu, Arc<Recorder>) {
    let config = Config {
        ram: Arc::new(GuestRam::new(&[(Gpa(0), RAM)]).expect("the host has 16 MiB")),
        clock,
        cpus: 1,
        tsc_khz: Config::TSC_KHZ,
        translate: crate::engine::Translate::default(),
        code_cache: Config::CODE_CACHE,
    };
    let io = Arc::new(Recorder::default());
    (Cpu::alone(&config, 0, io.clone()), io)
}

/// A processor after RESET with its block cache.
pub(crate) fn processor() -> (Processor, Arc<Recorder>) {
    let (cpu, io) = cpu();
    (Processor::new(cpu), io)
}

/// Where the tests' programs begin.
pub(crate) const CODE: u64 = 0x8000;
/// The stack pointer that they begin with.
pub(crate) const STACK: u64 = 0x7000;
/// The page table of the first 2 MiB in [`long`], one page for one.
pub(crate) const TABLE: u64 = 0x10_3000;

/// A processor in 64-bit mode at [`CODE`], CPL 0, with this program there.
pub(crate) fn long(program: &[u8]) -> Processor {
    let (mut processor, _) = processor();
    let cpu = &mut processor.cpu;
    let all = PRESENT | WRITABLE | USER;
    let put = |at: u64, value: u64| {
        let written = cpu.ram.write(Gpa(at), &value.to_le_bytes());
        written.expect("inside the test's RAM");
    };
    for level in 0..3 {
        put(TABLE - 0x1000 * (level + 1), (TABLE - 0x1000 * level) | all);
    }
    for page in 0..512 {
        put(TABLE + 8 * page, page << 12 | all);
    }
    cpu.cr0 |= cr0::PE | cr0::PG | cr0::WP;
    cpu.cr4 = cr4::PAE;
    cpu.efer = efer::LMA | efer::LME | efer::NXE;
    cpu.cr3 = TABLE - 0x3000;
    cpu.seg[1].base = 0;
    cpu.seg[1].attributes = Attributes(0xa09b);
    begin(&mut processor, program);
    processor
}

/// A processor in real mode at 0000:8000, with this program there.
pub(crate) fn real(program: &[u8]) -> Processor {
    let (mut processor, _) = processor();
    processor.cpu.seg[1].base = 0;
    begin(&mut processor, program);
    processor
}

fn begin(processor: &mut Processor, program: &[u8]) {
    let cpu = &mut processor.cpu;
    let written = cpu.ram.write(Gpa(CODE), program);
    written.expect("inside the test's RAM");
    cpu.rip = CODE;
    cpu.ctx.gpr[RSP] = STACK;
    cpu.refresh_mode();
}

impl Processor {
    /// Executes until RIP is `end` at the end of a block.
    pub(crate) fn until(&mut self, end: u64) -> R {
        for _ in 0..10_000 {
            if self.cpu.rip == end {
                return Ok(());
            }
            self.step(usize::MAX)?;
        }
        panic!("RIP stays at {:#x}", self.cpu.rip);
    }

    /// Executes so many instructions, one at a time.
    pub(crate) fn steps(&mut self, count: usize) -> R {
        (0..count).try_for_each(|_| self.step(1))
    }
}

/// Executes `program` at 0000:8000 in real mode, with SSE and XSAVE switched on, to its end.
///
/// # Errors
/// The trap that an instruction ended in.
pub(crate) fn executed(processor: &mut Processor, program: &[u8]) -> R {
    let cpu = &mut processor.cpu;
    cpu.seg[1].base = 0;
    cpu.cr4 |= cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
    cpu.xcr0 = xcr0::ALL;
    begin(processor, program);
    let mut result = Ok(());
    while result.is_ok() && processor.cpu.rip != CODE + program.len() as u64 {
        result = processor.step(1);
    }
    processor.cpu.release_x87();
    result
}
