//! KVM's paravirtual interface, as far as CPUID claims it: clock, steal time, end of interrupt, hypercalls.
//!
//! Layouts are those of the kernel's Documentation/virt/kvm/x86/{msr,cpuid,hypercalls}.rst. What a guest points
//! outside RAM is lost silently.

use mem::Gpa;
use x86::state::gpr;

use crate::cpu::Cpu;

/// Enable bit of the MSRs that hold an address.
const ENABLED: u64 = 1;
/// The clock page: clocks of all vCPUs agree.
const TSC_STABLE: u8 = 1;
/// KVM's answer to hypercalls that it does not have.
const NO_SUCH_CALL: u64 = -1000_i64 as u64;
/// KVM's answer to user mode.
const NOT_PERMITTED: u64 = -1_i64 as u64;

/// Offsets in the steal-time record.
mod steal {
    pub(super) const TIME: u64 = 0;
    pub(super) const VERSION: u64 = 8;
    /// A byte: what the vCPU is doing, and what others want of it.
    pub(super) const PREEMPTED: u64 = 16;
    /// In it: the vCPU does not run.
    pub(super) const ABSENT: u32 = 1 << 0;
    /// In it: the TLB is to be flushed before the vCPU runs.
    pub(super) const FLUSH: u32 = 1 << 1;
}

/// How much of its time the vCPU's thread did not get.
#[derive(Debug, Default)]
pub(crate) struct Steal {
    /// Nanoseconds so far.
    total: u64,
    /// Machine time and thread time when it was last looked at; `None` while that does not count.
    since: Option<(u64, u64)>,
}

/// An interrupt whose end the guest may note in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OfferedEoi(Gpa);

impl Cpu {
    /// KVM_SYSTEM_TIME: writes this vCPU's clock page.
    pub(crate) fn write_clock(&mut self) {
        let msr = self.msrs.kvm_system_time;
        if msr & ENABLED == 0 {
            return;
        }
        let now = self.now();
        let tsc = self.tsc_at(now);
        let (multiplier, shift) = self.shared.scale.paravirtual();
        let base = Gpa(msr & !ENABLED);
        let stable = self.msrs.tsc_adjust == 0 && !self.shared.is_tsc_skewed();
        self.begin_update(base);
        self.put(base.add(8), &tsc.to_le_bytes());
        self.put(base.add(16), &self.system_time(tsc).to_le_bytes());
        self.put(base.add(24), &multiplier.to_le_bytes());
        let flags = if stable { TSC_STABLE } else { 0 };
        self.put(base.add(28), &[shift as u8, flags, 0, 0]);
        self.end_update(base);
    }

    /// Nanoseconds of the guest's clock when its TSC has this value.
    fn system_time(&self, tsc: u64) -> u64 {
        let unadjusted = tsc.wrapping_sub(self.msrs.tsc_adjust);
        self.shared.scale.nanoseconds(unadjusted)
    }

    /// KVM_WALL_CLOCK: writes the wall-clock time at which the guest's clock was zero.
    pub(crate) fn write_wall_clock(&mut self) {
        let base = Gpa(self.msrs.kvm_wall_clock);
        let since = self.system_time(self.tsc());
        let start = self.shared.clock.wall().saturating_sub(since);
        self.begin_update(base);
        self.put(base.add(4), &((start / 1_000_000_000) as u32).to_le_bytes());
        self.put(base.add(8), &((start % 1_000_000_000) as u32).to_le_bytes());
        self.end_update(base);
    }

    /// Makes a version number odd: readers wait.
    fn begin_update(&mut self, version: Gpa) {
        let number = self.get_u32(version);
        self.put(version, &(number | 1).to_le_bytes());
    }

    /// Makes it even and another one: readers go on.
    fn end_update(&mut self, version: Gpa) {
        let number = self.get_u32(version);
        self.put(version, &number.wrapping_add(1).to_le_bytes());
    }

    fn get_u32(&self, at: Gpa) -> u32 {
        self.ram
            .offset(at, 4)
            .map_or(0, |offset| self.ram.load(offset))
    }

    fn put(&mut self, at: Gpa, bytes: &[u8]) {
        if let Some(offset) = self.ram.offset(at, bytes.len() as u64)
            && self.ram.copy_in(offset, bytes)
        {
            self.code_written();
        }
    }

    /// Time from here on counts anew; what passed before was sleep or pause.
    pub(crate) fn forget_steal(&mut self) {
        self.steal.since =
            (self.msrs.kvm_steal_time & ENABLED != 0).then(|| (self.now(), host::clock::thread()));
    }

    /// Adds what passed without the thread having run to the guest's record.
    pub(crate) fn account_steal(&mut self) {
        let msr = self.msrs.kvm_steal_time;
        if msr & ENABLED == 0 {
            return;
        }
        let (now, thread) = (self.now(), host::clock::thread());
        if let Some((then, had)) = self.steal.since.replace((now, thread)) {
            let ran = thread.saturating_sub(had);
            self.steal.total += now.saturating_sub(then).saturating_sub(ran);
        }
        let base = Gpa(msr & !0x3f);
        let version = base.add(steal::VERSION);
        self.begin_update(version);
        let total = self.steal.total.to_le_bytes();
        self.put(base.add(steal::TIME), &total);
        self.end_update(version);
    }

    /// The vCPU falls asleep: from now on others ask for TLB flushes in memory rather than by an interrupt.
    pub(crate) fn note_absence(&mut self) {
        self.replace_preempted(steal::ABSENT);
    }

    /// The vCPU goes on: does what was asked for meanwhile.
    pub(crate) fn note_presence(&mut self) {
        if self.replace_preempted(0) & steal::FLUSH != 0 {
            self.mmu.flush_all(self.pcid());
        }
    }

    /// Exchanges the byte of the steal-time record that other vCPUs change by locked instructions.
    fn replace_preempted(&mut self, value: u32) -> u32 {
        let msr = self.msrs.kvm_steal_time;
        let word = Gpa(msr & !0x3f).add(steal::PREEMPTED);
        let Some(at) = self.ram.offset(word, 4).filter(|_| msr & ENABLED != 0) else {
            return 0;
        };
        let mut old = self.ram.load::<u32>(at);
        while let Err(now) = self.ram.compare_exchange_u32(at, old, old & !0xff | value) {
            old = now;
        }
        old & 0xff
    }

    /// Before anything is delivered: takes back the offer of [`Cpu::offer_eoi`], and ends the interrupt if the
    /// guest has used it.
    #[inline]
    pub(crate) fn settle_eoi(&mut self) {
        if let Some(OfferedEoi(at)) = self.offered_eoi.take() {
            self.take_back_eoi(at);
        }
    }

    #[cold]
    fn take_back_eoi(&mut self, at: Gpa) {
        let word = self.get_u32(at);
        if word & 1 != 0 {
            self.put(at, &(word & !1).to_le_bytes());
        } else {
            // An edge-triggered one, so nobody else is to know.
            self.lapic.end();
        }
    }

    /// Lets the guest end the interrupt in service by clearing a bit in memory, where that tells enough.
    #[inline]
    pub(crate) fn offer_eoi(&mut self) {
        let msr = self.msrs.kvm_pv_eoi;
        if msr & ENABLED == 0 || self.offered_eoi.is_some() {
            return;
        }
        let at = Gpa(msr & !ENABLED);
        if self.lapic.sole_edge_interrupt().is_some() && self.ram.offset(at, 4).is_some() {
            let word = self.get_u32(at);
            self.put(at, &(word | 1).to_le_bytes());
            self.offered_eoi = Some(OfferedEoi(at));
        }
    }

    /// VMCALL: there is no hypercall yet, as CPUID says, but guests ask.
    pub(crate) fn hypercall(&mut self) {
        let answer = if self.mode.cpl > 0 {
            NOT_PERMITTED
        } else {
            NO_SUCH_CALL
        };
        self.ctx.gpr[gpr::RAX] = if self.mode.is_64bit() {
            answer
        } else {
            answer & 0xffff_ffff
        };
    }
}

#[cfg(test)]
mod tests;
