//! What an access that leaves the guest costs, beside the bare round trip into the kernel.

mod signal;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use iface::{EngineError, Exit, Io, Kicker, Space, Vcpu};
use mem::Gpa;
use x86::CpuState;
use x86::descriptor::Attributes;

use crate::capability::Host;
use crate::engine::{Config, KvmEngine};
use crate::error::failed;
use crate::ioctl;
use crate::lab::{HostClock, memory};
use crate::vcpu::KvmVcpu;

pub use signal::{Signal, signal_costs};

/// Accesses measured at a time, one way and then the other.
const BATCH: u32 = 1000;

/// Nanoseconds of an access.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// What is accessed.
    pub name: &'static str,
    /// KVM_RUN alone, with nothing done about the access.
    pub bare: f64,
    /// By the engine, to a device that does nothing.
    pub engine: f64,
}

/// A machine that counts accesses and stops at a number.
struct Counter {
    left: AtomicU32,
    kicker: OnceLock<Arc<dyn Kicker>>,
}

impl Io for Counter {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&self, _: Space, _: u64, _: &[u8]) {
        let left = self.left.load(Ordering::Relaxed) - 1;
        self.left.store(left, Ordering::Relaxed);
        if left == 0
            && let Some(kicker) = self.kicker.get()
        {
            kicker.kick();
        }
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0xff
    }
}

/// Measures port and memory accesses, `rounds` batches of each, the two ways alternating; medians.
///
/// # Errors
/// When KVM can't be had, or not even this guest runs.
pub fn exit_costs(rounds: usize) -> Result<[Cost; 2], EngineError> {
    // OUT 0x10, AL; JMP back
    let port = measure(rounds, &[0xe6, 0x10, 0xeb, 0xfc])?;
    // MOV [0x300000], AL; JMP back
    let memory = measure(rounds, &[0xa2, 0, 0, 0x30, 0, 0xeb, 0xf9])?;
    let cost = |name, (bare, engine)| Cost { name, bare, engine };
    Ok([cost("port", port), cost("memory", memory)])
}

fn measure(rounds: usize, code: &[u8]) -> Result<(f64, f64), EngineError> {
    const CODE: u64 = 0x8000;
    let engine = alone()?;
    engine.shared.ram.write(Gpa(CODE), code).expect("it fits");
    let mut vcpu = engine.concrete(0)?;
    vcpu.load(&protected(CODE))?;
    let counter = Arc::new(Counter {
        left: AtomicU32::new(0),
        kicker: OnceLock::new(),
    });
    counter.kicker.get_or_init(|| vcpu.kicker());
    let (mut bare, mut own) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(run_bare(&vcpu)?);
        own.push(run_engine(&mut vcpu, &counter)?);
    }
    Ok((median(bare), median(own)))
}

/// An engine of one vCPU that nobody helps.
fn alone() -> Result<KvmEngine, EngineError> {
    let config = Config {
        ram: memory()?,
        clock: Arc::new(HostClock),
        cpus: 1,
        tsc_khz: None,
        assist: false,
    };
    KvmEngine::on(Host::open()?, config)
}

/// 32-bit protected mode without paging.
fn protected(code: u64) -> CpuState {
    let mut state = CpuState::reset(0);
    state.cr0 |= x86::cr::cr0::PE;
    for segment in &mut state.segments {
        (segment.selector, segment.base, segment.limit) = (0x10, 0, u32::MAX);
        segment.attributes = Attributes(0xc093);
    }
    state.segments[1].selector = 0x08;
    state.segments[1].attributes = Attributes(0xc09b);
    state.rip = code;
    state
}

fn run_bare(vcpu: &KvmVcpu) -> Result<f64, EngineError> {
    let fd = vcpu.fd.as_raw_fd();
    let start = Instant::now();
    for _ in 0..BATCH {
        ioctl::run(fd).map_err(failed("KVM_RUN"))?;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(BATCH))
}

fn run_engine(vcpu: &mut KvmVcpu, counter: &Arc<Counter>) -> Result<f64, EngineError> {
    counter.left.store(BATCH, Ordering::Relaxed);
    let io: Arc<dyn Io> = counter.clone();
    let start = Instant::now();
    match vcpu.run(&io)? {
        Exit::Kicked => Ok(start.elapsed().as_nanos() as f64 / f64::from(BATCH)),
        exit => Err(vcpu.stuck(&format!("{exit:?}"))),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_way_takes_time() {
        if let Err(reason) = Host::open() {
            println!("SKIPPED: {reason}");
            return;
        }
        for cost in exit_costs(3).expect("the guest runs") {
            assert!(cost.bare > 0.0 && cost.engine > 0.0, "{cost:?}");
        }
        for cost in signal_costs(3).expect("KVM has either way") {
            println!("{cost:?}");
            assert!(cost.by_us > 0.0 && cost.by_kernel > 0.0, "{cost:?}");
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}
