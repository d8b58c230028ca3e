//! System calls that kvm-ioctls lacks, or wraps in more than is wanted on the way into the guest.
#![allow(unsafe_code, reason = "ioctls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use kvm_bindings::{
    kvm_device_attr, kvm_ioeventfd, kvm_irqfd, kvm_sregs2, kvm_userspace_memory_region, kvm_xsave,
};
use kvm_ioctls::{VcpuFd, VmFd};

/// `_IO(KVMIO, number)`.
const fn plain(number: u64) -> u64 {
    0xae00 | number
}

/// `_IOR(KVMIO, number, T)`.
const fn read<T>(number: u64) -> u64 {
    2 << 30 | (size_of::<T>() as u64) << 16 | plain(number)
}

/// `_IOW(KVMIO, number, T)`.
const fn write<T>(number: u64) -> u64 {
    1 << 30 | (size_of::<T>() as u64) << 16 | plain(number)
}

const RUN: u64 = plain(0x80);
const GET_SREGS2: u64 = read::<kvm_sregs2>(0xcc);
const SET_SREGS2: u64 = write::<kvm_sregs2>(0xcd);
const SET_DEVICE_ATTR: u64 = write::<kvm_device_attr>(0xe1);
const GET_DEVICE_ATTR: u64 = write::<kvm_device_attr>(0xe2);
const GET_TSC_KHZ: u64 = plain(0xa3);
const IOEVENTFD: u64 = write::<kvm_ioeventfd>(0x79);
const IRQFD: u64 = write::<kvm_irqfd>(0x76);
const INTERRUPT: u64 = write::<u32>(0x86);

fn check(result: i32) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the result of kvm-ioctls one of the standard library.
pub(crate) fn done<T>(result: Result<T, kvm_ioctls::Error>) -> io::Result<T> {
    result.map_err(|error| io::Error::from_raw_os_error(error.errno()))
}

/// KVM_RUN.
pub(crate) fn run(vcpu: RawFd) -> io::Result<()> {
    // SAFETY: takes no argument; what the kernel writes is the shared page and guest memory.
    check(unsafe { libc::ioctl(vcpu, RUN, 0) })
}

/// KVM_GET_TSC_KHZ of a VM that has no vCPU yet: the host's.
pub(crate) fn vm_tsc_khz(vm: &VmFd) -> io::Result<u32> {
    // SAFETY: takes no argument.
    let khz = unsafe { libc::ioctl(vm.as_raw_fd(), GET_TSC_KHZ, 0) };
    check(khz)?;
    u32::try_from(khz).map_err(io::Error::other)
}

/// KVM_INTERRUPT: hands an interrupt of the PIC to the guest.
pub(crate) fn interrupt(vcpu: &VcpuFd, vector: u8) -> io::Result<()> {
    let number = u32::from(vector);
    // SAFETY: the pointer is valid for the call.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), INTERRUPT, &raw const number) })
}

/// KVM_IOEVENTFD.
pub(crate) fn set_doorbell(vm: &VmFd, request: &kvm_ioeventfd) -> io::Result<()> {
    // SAFETY: the pointer is valid for the call; the kernel checks the descriptor and keeps its own reference.
    check(unsafe { libc::ioctl(vm.as_raw_fd(), IOEVENTFD, std::ptr::from_ref(request)) })
}

/// KVM_IRQFD: what is added to the descriptor raises the interrupt of a route.
pub(crate) fn set_irqfd(vm: &VmFd, bell: BorrowedFd<'_>, gsi: u32) -> io::Result<()> {
    let request = kvm_irqfd {
        fd: bell.as_raw_fd() as u32,
        gsi,
        ..Default::default()
    };
    // SAFETY: the pointer is valid for the call; the kernel checks the descriptor and keeps its own reference.
    check(unsafe { libc::ioctl(vm.as_raw_fd(), IRQFD, &raw const request) })
}

/// KVM_GET_SREGS2.
pub(crate) fn special_registers(vcpu: &VcpuFd) -> io::Result<kvm_sregs2> {
    let mut registers = kvm_sregs2::default();
    // SAFETY: the pointer is valid for the call.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), GET_SREGS2, &raw mut registers) })?;
    Ok(registers)
}

/// KVM_SET_SREGS2.
pub(crate) fn set_special_registers(vcpu: &VcpuFd, registers: &kvm_sregs2) -> io::Result<()> {
    // SAFETY: the pointer is valid for the call.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), SET_SREGS2, std::ptr::from_ref(registers)) })
}

/// KVM_SET_XSAVE.
pub(crate) fn set_xsave(vcpu: &VcpuFd, area: &kvm_xsave) -> io::Result<()> {
    // SAFETY: no feature with a larger area has been asked for, so the kernel reads no more than this.
    done(unsafe { vcpu.set_xsave(area) })
}

/// Offset that KVM adds to the host's TSC, scaled, for this vCPU.
pub(crate) fn tsc_offset(vcpu: &VcpuFd) -> io::Result<u64> {
    let mut offset = 0_u64;
    let attribute = tsc_offset_attribute(&raw mut offset);
    // SAFETY: both pointers are valid for the call.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), GET_DEVICE_ATTR, &raw const attribute) })?;
    Ok(offset)
}

/// Sets what [`tsc_offset`] gets.
pub(crate) fn set_tsc_offset(vcpu: &VcpuFd, mut offset: u64) -> io::Result<()> {
    let attribute = tsc_offset_attribute(&raw mut offset);
    // SAFETY: both pointers are valid for the call.
    check(unsafe { libc::ioctl(vcpu.as_raw_fd(), SET_DEVICE_ATTR, &raw const attribute) })
}

fn tsc_offset_attribute(address: *mut u64) -> kvm_device_attr {
    kvm_device_attr {
        flags: 0,
        group: kvm_bindings::KVM_VCPU_TSC_CTRL,
        attr: kvm_bindings::KVM_VCPU_TSC_OFFSET.into(),
        addr: address as u64,
    }
}

/// A memory slot.
///
/// # Safety
/// The host memory must stay mapped as long as the VM lives, and may be written by the guest at any time.
pub(crate) unsafe fn set_slot(vm: &VmFd, slot: kvm_userspace_memory_region) -> io::Result<()> {
    // SAFETY: promised by the caller.
    done(unsafe { vm.set_user_memory_region(slot) })
}
