//! Guest time under KVM: the machine's clock, at the TSC's frequency.
//!
//! Between two stops of the machine's clock, a guest's TSC is the host's, scaled, plus an offset. The *shift* is that
//! offset for a guest whose TSC was zero when the machine's clock was; it is the same for all vCPUs, measured once
//! each time the clock starts. A vCPU keeps its own distance from it, which the guest may change by writing its TSC.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use iface::Clock;
use kvm_bindings::kvm_clock_data;
use kvm_ioctls::VmFd;

use crate::ioctl::done;

/// The time of one machine.
pub(crate) struct Time {
    clock: Arc<dyn Clock>,
    /// Frequency of the guest's TSC in kHz.
    khz: u32,
    /// Frequency of the host's TSC in kHz.
    host_khz: u32,
    epoch: Mutex<Epoch>,
}

#[derive(Debug, Clone, Copy)]
struct Epoch {
    /// [`Clock::starts`] when it was measured.
    starts: u64,
    shift: u64,
    /// Nanoseconds by which KVM's clock is ahead of the machine's.
    ahead: u64,
}

impl Time {
    pub(crate) fn new(clock: Arc<dyn Clock>, khz: u32, host_khz: u32) -> Self {
        let mut time = Self {
            clock,
            khz,
            host_khz,
            epoch: Mutex::new(Epoch {
                starts: 0,
                shift: 0,
                ahead: 0,
            }),
        };
        let (starts, shift) = (time.clock.starts(), time.measure());
        let epoch = time.epoch.get_mut().unwrap_or_else(PoisonError::into_inner);
        (epoch.starts, epoch.shift) = (starts, shift);
        time
    }

    /// Frequency of the guest's TSC in kHz.
    pub(crate) fn khz(&self) -> u32 {
        self.khz
    }

    /// Guest ticks in a time of the machine.
    fn ticks(&self, nanoseconds: u64) -> u64 {
        (u128::from(nanoseconds) * u128::from(self.khz) / 1_000_000) as u64
    }

    /// The time that guest ticks take.
    pub(crate) fn nanoseconds(&self, ticks: u64) -> u64 {
        (u128::from(ticks) * 1_000_000 / u128::from(self.khz)) as u64
    }

    /// The host's TSC as the guest's frequency has it.
    fn host_ticks(&self) -> u64 {
        let ticks = host::clock::ticks();
        if self.khz == self.host_khz {
            return ticks;
        }
        (u128::from(ticks) * u128::from(self.khz) / u128::from(self.host_khz)) as u64
    }

    /// The guest's TSC now, for a guest that has never written it.
    pub(crate) fn machine_ticks(&self) -> u64 {
        self.ticks(self.clock.now())
    }

    /// Takes the shift when the two clocks were read closest to each other.
    fn measure(&self) -> u64 {
        let once = || {
            let before = self.host_ticks();
            let machine = self.machine_ticks();
            let after = self.host_ticks();
            let width = after.wrapping_sub(before);
            (width, machine.wrapping_sub(before.wrapping_add(width / 2)))
        };
        let mut best = once();
        for _ in 0..4 {
            best = best.min(once());
        }
        best.1
    }

    /// The shift, measured anew when the machine's clock has stood still since.
    pub(crate) fn shift(&self, vm: &VmFd) -> io::Result<u64> {
        let starts = self.clock.starts();
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch.starts != starts {
            epoch.starts = starts;
            epoch.shift = self.measure();
            set_clock(vm, self.clock.now().wrapping_add(epoch.ahead))?;
        }
        Ok(epoch.shift)
    }

    /// KVM's clock shows `now` nanoseconds from here on.
    pub(crate) fn set_guest_clock(&self, vm: &VmFd, now: u64) -> io::Result<()> {
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        epoch.ahead = now.wrapping_sub(self.clock.now());
        set_clock(vm, now)
    }
}

fn set_clock(vm: &VmFd, clock: u64) -> io::Result<()> {
    let data = kvm_clock_data {
        clock,
        ..Default::default()
    };
    done(vm.set_clock(&data))
}
