//! Memory slots: guest RAM as KVM sees it, and its log of the pages that the guest writes.
#![allow(unsafe_code, reason = "KVM is given host memory")]

use std::io;

use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;
use mem::{GuestRam, PAGE_SHIFT};

use crate::ioctl::{done, set_slot};

/// Maps RAM into the VM, or changes whether writes are logged.
pub(crate) fn map(vm: &VmFd, ram: &GuestRam, log: bool) -> io::Result<()> {
    for (slot, range) in (0..).zip(ram.ranges()) {
        let region = kvm_userspace_memory_region {
            slot,
            flags: if log { KVM_MEM_LOG_DIRTY_PAGES } else { 0 },
            guest_phys_addr: range.start.0,
            memory_size: range.len,
            userspace_addr: ram.pointer(range.offset, range.len).as_ptr() as u64,
        };
        // SAFETY: the engine and each of its vCPUs hold the RAM; guest RAM is never a Rust reference.
        unsafe { set_slot(vm, region) }?;
    }
    Ok(())
}

/// The pages that the guest, or anybody else, has written since the last call, ascending.
pub(crate) fn take_dirty(vm: &VmFd, ram: &GuestRam) -> io::Result<Vec<u64>> {
    // Devices and the software CPU note what they write here.
    let mut pages = ram.flags().take_dirty();
    for (slot, range) in (0..).zip(ram.ranges()) {
        let len = usize::try_from(range.len).map_err(io::Error::other)?;
        let words = done(vm.get_dirty_log(slot, len))?;
        pages.extend(numbers(&words).map(|page| page + (range.offset.0 >> PAGE_SHIFT)));
    }
    pages.sort_unstable();
    pages.dedup();
    Ok(pages)
}

/// The numbers of the bits that are set.
fn numbers(words: &[u64]) -> impl Iterator<Item = u64> {
    let bits = |(index, word): (u64, &u64)| {
        let word = *word;
        (0..64)
            .filter(move |bit| word >> bit & 1 != 0)
            .map(move |bit| index * 64 + bit)
    };
    (0..).zip(words).flat_map(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_their_numbers() {
        let found: Vec<_> = numbers(&[0b101, 0, 1 << 63]).collect();
        assert_eq!(found, [0, 2, 191]);
    }
}
