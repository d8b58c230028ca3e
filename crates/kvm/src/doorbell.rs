//! Doorbells by ioeventfd: KVM itself adds to an eventfd, and the guest goes on at once.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use kvm_bindings::{
    KVM_CAP_IOEVENTFD, KVM_CAP_IOEVENTFD_ANY_LENGTH, kvm_ioeventfd, kvm_ioeventfd_flag_nr_deassign,
};
use kvm_ioctls::VmFd;

use crate::capability::Host;
use crate::ioctl;

/// Whether KVM here takes doorbells of any width.
pub(crate) fn is_possible(host: &Host) -> bool {
    host.capability(KVM_CAP_IOEVENTFD) > 0 && host.capability(KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0
}

/// Connects writes at an address with an eventfd.
pub(crate) fn connect(vm: &VmFd, address: u64, bell: BorrowedFd<'_>) -> io::Result<()> {
    ioctl::set_doorbell(vm, &request(address, bell, 0))
}

/// Undoes it.
pub(crate) fn disconnect(vm: &VmFd, address: u64, bell: BorrowedFd<'_>) -> io::Result<()> {
    ioctl::set_doorbell(
        vm,
        &request(address, bell, 1 << kvm_ioeventfd_flag_nr_deassign),
    )
}

fn request(address: u64, bell: BorrowedFd<'_>, flags: u32) -> kvm_ioeventfd {
    kvm_ioeventfd {
        addr: address,
        // Any.
        len: 0,
        fd: bell.as_raw_fd(),
        flags,
        ..Default::default()
    }
}
