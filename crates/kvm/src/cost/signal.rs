//! What doorbells and messages cost, by us and by the kernel alone.

use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use host::Bell;
use iface::{Engine, EngineError, Exit, Io, Kicker, Msi, Space, Vcpu};
use kvm_bindings::KvmIrqRouting;
use mem::Gpa;

use super::{BATCH, alone, median, protected};
use crate::error::{failed, unsupported};
use crate::ioctl::{self, done};
use crate::route::{self, PINS};

/// Nanoseconds of a signal between guest and device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// What it is.
    pub name: &'static str,
    /// By a way through this process: an exit and the engine's dispatch, or a system call of its own.
    pub by_us: f64,
    /// By a descriptor that the kernel acts on: ioeventfd, irqfd.
    pub by_kernel: f64,
}

/// A device with a doorbell, and a port by which the guest says that it is done.
struct Device {
    bell: Bell,
    kicker: OnceLock<Arc<dyn Kicker>>,
}

impl Io for Device {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&self, space: Space, _: u64, _: &[u8]) {
        match (space, self.kicker.get()) {
            (Space::Memory, _) => self.bell.ring(),
            (Space::Port, Some(kicker)) => kicker.kick(),
            (Space::Port, None) => {}
        }
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0xff
    }
}

/// Measures both, `rounds` batches of each, the two ways alternating; medians.
///
/// # Errors
/// When KVM can't be had or lacks one of the ways.
pub fn signal_costs(rounds: usize) -> Result<[Signal; 2], EngineError> {
    Ok([doorbell(rounds)?, message(rounds)?])
}

fn doorbell(rounds: usize) -> Result<Signal, EngineError> {
    const CODE: u64 = 0x8000;
    const DOORBELL: u64 = 0x30_0000;
    let engine = alone()?;
    // MOV ECX, batch; here: MOV [0x300000], AL; DEC ECX; JNZ here; OUT 0x10, AL; JMP to the start
    let mut code = vec![0xb9];
    code.extend(BATCH.to_le_bytes());
    code.extend([
        0xa2, 0, 0, 0x30, 0, 0x49, 0x75, 0xf8, 0xe6, 0x10, 0xeb, 0xef,
    ]);
    engine.shared.ram.write(Gpa(CODE), &code).expect("it fits");
    let mut vcpu = engine.concrete(0)?;
    vcpu.load(&protected(CODE))?;
    let device = Arc::new(Device {
        bell: Bell::new().map_err(failed("a bell"))?,
        kicker: OnceLock::new(),
    });
    device.kicker.get_or_init(|| vcpu.kicker());
    let io: Arc<dyn Io> = device.clone();
    let mut batch = || {
        let start = Instant::now();
        match vcpu.run(&io)? {
            Exit::Kicked => Ok(start.elapsed().as_nanos() as f64 / f64::from(BATCH)),
            exit => Err(vcpu.stuck(&format!("{exit:?}"))),
        }
    };
    let (mut us, mut kernel) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        us.push(batch()?);
        if !engine.connect_doorbell(DOORBELL, device.bell.as_fd()) {
            return Err(unsupported("this host's KVM has no ioeventfd".to_owned()));
        }
        kernel.push(batch()?);
        engine.disconnect_doorbell(DOORBELL, device.bell.as_fd());
    }
    Ok(Signal {
        name: "doorbell",
        by_us: median(us),
        by_kernel: median(kernel),
    })
}

fn message(rounds: usize) -> Result<Signal, EngineError> {
    let engine = alone()?;
    let mut vcpu = engine.concrete(0)?;
    vcpu.load(&protected(0x8000))?;
    let msi = Msi {
        address: 0xfee0_0000,
        data: 0x50,
    };
    let vm = &engine.shared.vm;
    let routing = KvmIrqRouting::from_entries(&[route::entry(PINS, msi)]);
    let routing = routing.map_err(|_| unsupported("no room for a route".to_owned()))?;
    done(vm.set_gsi_routing(&routing)).map_err(failed("routing an interrupt"))?;
    let bell = Bell::new().map_err(failed("a bell"))?;
    ioctl::set_irqfd(vm, bell.as_fd(), PINS).map_err(failed("connecting an interrupt"))?;
    let time = |send: &dyn Fn()| {
        let start = Instant::now();
        (0..BATCH).for_each(|_| send());
        start.elapsed().as_nanos() as f64 / f64::from(BATCH)
    };
    let (mut us, mut kernel) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        us.push(time(&|| engine.send_msi(msi)));
        // Not a ring, which would be a system call only for the first.
        let one = 1_u64.to_ne_bytes();
        kernel.push(time(&|| _ = rustix::io::write(bell.as_fd(), &one)));
    }
    Ok(Signal {
        name: "message",
        by_us: median(us),
        by_kernel: median(kernel),
    })
}
