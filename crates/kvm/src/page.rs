//! The page that a vCPU shares with the kernel (`struct kvm_run`).
//!
//! It is mapped once more than kvm-ioctls does, so that kicks from other threads may outlive the vCPU. Others touch
//! `immediate_exit` alone, by atomic stores; the rest belongs to the vCPU's own thread.
#![allow(unsafe_code, reason = "a structure that the kernel writes")]

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use kvm_bindings::kvm_run;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::debug::Trap;

/// The shared page, and the data of port accesses behind it.
#[derive(Debug)]
pub(crate) struct RunPage {
    start: NonNull<kvm_run>,
    len: usize,
}

// SAFETY: the mapping is an address range; who may touch what is said above.
unsafe impl Send for RunPage {}
// SAFETY: as above.
unsafe impl Sync for RunPage {}

/// A port access that waits for the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PortAccess {
    pub(crate) port: u16,
    pub(crate) write: bool,
    /// Bytes of one access.
    pub(crate) size: usize,
    /// Accesses, one after the other.
    pub(crate) count: usize,
    offset: usize,
}

/// Why the guest was left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    /// Suberror or hardware reason.
    pub(crate) code: u64,
    /// Data words that the kernel gave.
    pub(crate) data: [u64; 4],
    pub(crate) words: usize,
}

impl RunPage {
    /// Maps the page of a vCPU.
    pub(crate) fn map(vcpu: impl AsFd, len: usize) -> io::Result<Self> {
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh range chosen by the kernel aliases nothing of ours.
        let start = unsafe { mmap(std::ptr::null_mut(), len, flags, MapFlags::SHARED, vcpu, 0)? };
        let start = NonNull::new(start.cast()).expect("mmap returns no null on success");
        Ok(Self { start, len })
    }

    fn raw(&self) -> *mut kvm_run {
        self.start.as_ptr()
    }

    fn exit_cell(&self) -> &AtomicU8 {
        // SAFETY: in bounds, lives as long as `self`, and everybody uses it as an atomic.
        unsafe { AtomicU8::from_ptr(&raw mut (*self.raw()).immediate_exit) }
    }

    /// Lets the next entry into the guest return at once, or not.
    pub(crate) fn set_immediate_exit(&self, wanted: bool) {
        self.exit_cell().store(wanted.into(), Ordering::SeqCst);
    }

    /// Asks for an exit as soon as the guest can take an interrupt of the PIC.
    pub(crate) fn request_interrupt_window(&self, wanted: bool) {
        // SAFETY: in bounds; the vCPU's thread alone calls this, outside the guest.
        unsafe { (*self.raw()).request_interrupt_window = wanted.into() };
    }

    /// Whether the guest could take an interrupt of the PIC when it was left.
    pub(crate) fn is_ready_for_interrupt(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.raw()).ready_for_interrupt_injection != 0 }
    }

    /// Why the guest was left.
    pub(crate) fn exit_reason(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw()).exit_reason }
    }

    /// Marks the reason, so that one can tell whether the kernel sets it.
    pub(crate) fn set_exit_reason(&self, reason: u32) {
        // SAFETY: as above.
        unsafe { (*self.raw()).exit_reason = reason };
    }

    /// The access of KVM_EXIT_IO.
    pub(crate) fn port_access(&self) -> PortAccess {
        // SAFETY: in bounds; plain integers whose meaning the exit reason has settled.
        let io = unsafe { (*self.raw()).__bindgen_anon_1.io };
        PortAccess {
            port: io.port,
            write: u32::from(io.direction) == kvm_bindings::KVM_EXIT_IO_OUT,
            size: usize::from(io.size),
            count: io.count as usize,
            offset: io.data_offset as usize,
        }
    }

    /// The data of a port access: all of it, one access after the other.
    pub(crate) fn port_data(&mut self, access: PortAccess) -> &mut [u8] {
        let len = access.size * access.count;
        assert!(
            access.offset >= size_of::<kvm_run>() && access.offset + len <= self.len,
            "the kernel keeps port data behind the structure"
        );
        // SAFETY: in bounds by the assertion, apart from what others touch; nobody else uses it meanwhile.
        unsafe {
            let data = self.start.as_ptr().cast::<u8>().add(access.offset);
            std::slice::from_raw_parts_mut(data, len)
        }
    }

    /// The access of KVM_EXIT_MMIO: address, whether it writes, data.
    pub(crate) fn memory_access(&mut self) -> (u64, bool, &mut [u8]) {
        // SAFETY: in bounds; plain bytes whose meaning the exit reason has settled.
        let access = unsafe { &mut (*self.raw()).__bindgen_anon_1.mmio };
        let len = (access.len as usize).min(access.data.len());
        (
            access.phys_addr,
            access.is_write != 0,
            &mut access.data[..len],
        )
    }

    /// What KVM_EXIT_DEBUG is for.
    pub(crate) fn debug_trap(&self) -> Trap {
        // SAFETY: as above.
        let debug = unsafe { (*self.raw()).__bindgen_anon_1.debug.arch };
        Trap {
            vector: debug.exception as u8,
            linear: debug.pc,
            dr6: debug.dr6,
        }
    }

    /// The vector of KVM_EXIT_IOAPIC_EOI.
    pub(crate) fn ended_vector(&self) -> u8 {
        // SAFETY: as above.
        unsafe { (*self.raw()).__bindgen_anon_1.eoi.vector }
    }

    /// The type of KVM_EXIT_SYSTEM_EVENT.
    pub(crate) fn system_event(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw()).__bindgen_anon_1.system_event.type_ }
    }

    /// What KVM_EXIT_INTERNAL_ERROR says.
    pub(crate) fn internal_error(&self) -> Failure {
        // SAFETY: as above.
        let error = unsafe { (*self.raw()).__bindgen_anon_1.internal };
        let words = (error.ndata as usize).min(4);
        let mut data = [0; 4];
        data[..words].copy_from_slice(&error.data[..words]);
        Failure {
            code: error.suberror.into(),
            data,
            words,
        }
    }

    /// The hardware's reason of KVM_EXIT_FAIL_ENTRY or KVM_EXIT_UNKNOWN.
    pub(crate) fn hardware_reason(&self) -> u64 {
        // SAFETY: as above; both have it first.
        unsafe { (*self.raw()).__bindgen_anon_1.hw.hardware_exit_reason }
    }
}

impl Drop for RunPage {
    fn drop(&mut self) {
        // SAFETY: the range is ours and whole, and nobody keeps references into it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
