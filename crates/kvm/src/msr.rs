//! The MSRs of the machine contract that KVM keeps: which of them this host's KVM has, and their values.

use std::io;

use kvm_bindings::{Msrs as Batch, kvm_msr_entry};
use kvm_ioctls::VcpuFd;
use x86::msr::{MTRR_VARIABLE, Msrs, number};

use crate::ioctl::done;

/// Fixed MTRRs in the order of [`Msrs::mtrr_fixed`].
const MTRR_FIXED: [u32; 11] = [
    number::MTRR_FIX64K_00000,
    number::MTRR_FIX16K_80000,
    number::MTRR_FIX16K_A0000,
    number::MTRR_FIX4K_C0000,
    number::MTRR_FIX4K_C0000 + 1,
    number::MTRR_FIX4K_C0000 + 2,
    number::MTRR_FIX4K_C0000 + 3,
    number::MTRR_FIX4K_C0000 + 4,
    number::MTRR_FIX4K_C0000 + 5,
    number::MTRR_FIX4K_C0000 + 6,
    number::MTRR_FIX4K_C0000 + 7,
];

/// Calls `visit` with the number and value of every register that [`Msrs`] holds.
fn each(msrs: &mut Msrs, mut visit: impl FnMut(u32, &mut u64)) {
    let Msrs {
        star,
        lstar,
        cstar,
        sfmask,
        kernel_gs_base,
        tsc_aux,
        tsc_adjust,
        sysenter_cs,
        sysenter_esp,
        sysenter_eip,
        pat,
        misc_enable,
        spec_ctrl,
        mtrr_def_type,
        mtrr_variable,
        mtrr_fixed,
        kvm_wall_clock,
        kvm_system_time,
        kvm_steal_time,
        kvm_pv_eoi,
    } = msrs;
    for (register, value) in [
        (number::STAR, star),
        (number::LSTAR, lstar),
        (number::CSTAR, cstar),
        (number::SFMASK, sfmask),
        (number::KERNEL_GS_BASE, kernel_gs_base),
        (number::TSC_AUX, tsc_aux),
        (number::TSC_ADJUST, tsc_adjust),
        (number::SYSENTER_CS, sysenter_cs),
        (number::SYSENTER_ESP, sysenter_esp),
        (number::SYSENTER_EIP, sysenter_eip),
        (number::PAT, pat),
        (number::MISC_ENABLE, misc_enable),
        (number::SPEC_CTRL, spec_ctrl),
        (number::MTRR_DEF_TYPE, mtrr_def_type),
        (number::KVM_WALL_CLOCK, kvm_wall_clock),
        (number::KVM_SYSTEM_TIME, kvm_system_time),
        (number::KVM_STEAL_TIME, kvm_steal_time),
        (number::KVM_PV_EOI, kvm_pv_eoi),
    ] {
        visit(register, value);
    }
    for (register, value) in MTRR_FIXED.iter().zip(mtrr_fixed) {
        visit(*register, value);
    }
    let variable = mtrr_variable.iter_mut().flatten();
    for (register, value) in (number::MTRR_PHYS_BASE0..).zip(variable.take(2 * MTRR_VARIABLE)) {
        visit(register, value);
    }
}

/// The registers that KVM has here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Vec<u32>);

impl Known {
    /// Tries every register of the contract on a vCPU.
    pub(crate) fn find(vcpu: &VcpuFd) -> Self {
        let mut known = Vec::new();
        each(&mut Msrs::default(), |register, _| {
            if read(vcpu, register).is_ok() {
                known.push(register);
            }
        });
        Self(known)
    }

    /// Reads all of them; what KVM does not have keeps its value.
    pub(crate) fn save(&self, vcpu: &VcpuFd, msrs: &mut Msrs) -> io::Result<()> {
        let entries: Vec<_> = self.0.iter().map(|&register| entry(register, 0)).collect();
        let mut batch = batch(&entries)?;
        let count = done(vcpu.get_msrs(&mut batch))?;
        expect_all(count, &entries)?;
        let values = batch.as_slice();
        each(msrs, |register, value| {
            if let Some(found) = values.iter().find(|entry| entry.index == register) {
                *value = found.data;
            }
        });
        Ok(())
    }

    /// Writes all of them.
    pub(crate) fn load(&self, vcpu: &VcpuFd, msrs: &Msrs) -> io::Result<()> {
        let mut entries = Vec::new();
        each(&mut msrs.clone(), |register, value| {
            if self.0.contains(&register) && !is_clock(register) {
                entries.push(entry(register, *value));
            }
        });
        expect_all(done(vcpu.set_msrs(&batch(&entries)?))?, &entries)
    }

    /// Writes those by which KVM tells the guest the time; the time has been set before.
    pub(crate) fn load_clocks(&self, vcpu: &VcpuFd, msrs: &Msrs) -> io::Result<()> {
        let mut entries = Vec::new();
        each(&mut msrs.clone(), |register, value| {
            // Writing the wall clock's makes KVM write the guest's memory, which holds it already.
            if self.0.contains(&register)
                && is_clock(register)
                && register != number::KVM_WALL_CLOCK
            {
                entries.push(entry(register, *value));
            }
        });
        expect_all(done(vcpu.set_msrs(&batch(&entries)?))?, &entries)
    }
}

fn is_clock(register: u32) -> bool {
    matches!(
        register,
        number::KVM_WALL_CLOCK
            | number::KVM_SYSTEM_TIME
            | number::KVM_STEAL_TIME
            | number::KVM_PV_EOI
    )
}

/// Reads one register.
pub(crate) fn read(vcpu: &VcpuFd, register: u32) -> io::Result<u64> {
    let entries = [entry(register, 0)];
    let mut batch = batch(&entries)?;
    expect_all(done(vcpu.get_msrs(&mut batch))?, &entries)?;
    Ok(batch.as_slice()[0].data)
}

/// Writes one register.
pub(crate) fn write(vcpu: &VcpuFd, register: u32, value: u64) -> io::Result<()> {
    let entries = [entry(register, value)];
    expect_all(done(vcpu.set_msrs(&batch(&entries)?))?, &entries)
}

fn entry(index: u32, data: u64) -> kvm_msr_entry {
    kvm_msr_entry {
        index,
        data,
        ..Default::default()
    }
}

fn batch(entries: &[kvm_msr_entry]) -> io::Result<Batch> {
    Batch::from_entries(entries).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// KVM stops at the first register that it refuses.
fn expect_all(count: usize, entries: &[kvm_msr_entry]) -> io::Result<()> {
    match entries.get(count) {
        None => Ok(()),
        Some(entry) => Err(io::Error::other(format!(
            "MSR {:#x} with {:#x}",
            entry.index, entry.data
        ))),
    }
}
