//! What `/dev/kvm` must be able to do, and one line for each way in which it can't.

use std::ffi::CString;
use std::io;

use iface::EngineError;
use kvm_bindings::{
    KVM_CAP_ADJUST_CLOCK, KVM_CAP_DEBUGREGS, KVM_CAP_EXT_CPUID, KVM_CAP_IMMEDIATE_EXIT,
    KVM_CAP_IRQ_ROUTING, KVM_CAP_MP_STATE, KVM_CAP_SET_TSS_ADDR, KVM_CAP_SIGNAL_MSI,
    KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_SREGS2, KVM_CAP_TSC_CONTROL, KVM_CAP_TSC_DEADLINE_TIMER,
    KVM_CAP_USER_MEMORY, KVM_CAP_VCPU_ATTRIBUTES, KVM_CAP_VCPU_EVENTS, KVM_CAP_X2APIC_API,
    KVM_CAP_XCRS, KVM_CAP_XSAVE,
};
use kvm_ioctls::Kvm;
use rustix::io::Errno;

use crate::error::{failed, unsupported};
use crate::ioctl::{done, vm_tsc_khz};

/// The device.
pub const DEVICE: &str = "/dev/kvm";

/// The version of the interface since Linux 2.6.22.
const API_VERSION: i32 = 12;

/// Capabilities without which the engine can't work, and the first kernel that has each.
const NEEDED: [(u32, &str, &str); 17] = [
    (KVM_CAP_USER_MEMORY, "user memory", "2.6.23"),
    (KVM_CAP_SET_TSS_ADDR, "a place for the TSS", "2.6.24"),
    (KVM_CAP_EXT_CPUID, "CPUID tables", "2.6.26"),
    (KVM_CAP_MP_STATE, "processor activity", "2.6.27"),
    (KVM_CAP_IRQ_ROUTING, "interrupt routing", "2.6.30"),
    (KVM_CAP_VCPU_EVENTS, "pending events", "2.6.33"),
    (KVM_CAP_ADJUST_CLOCK, "the clock", "2.6.33"),
    (KVM_CAP_DEBUGREGS, "debug registers", "2.6.35"),
    (KVM_CAP_XSAVE, "the XSAVE area", "2.6.36"),
    (KVM_CAP_XCRS, "XCR0", "2.6.36"),
    (KVM_CAP_SIGNAL_MSI, "messages", "3.5"),
    (KVM_CAP_TSC_DEADLINE_TIMER, "the TSC deadline timer", "3.9"),
    (KVM_CAP_SPLIT_IRQCHIP, "split interrupt controllers", "4.4"),
    (KVM_CAP_X2APIC_API, "x2APIC addresses", "4.7"),
    (KVM_CAP_IMMEDIATE_EXIT, "immediate exit", "4.13"),
    (KVM_CAP_SREGS2, "page-directory pointers", "5.14"),
    (KVM_CAP_VCPU_ATTRIBUTES, "TSC offsets", "5.16"),
];

/// The device, opened and found good.
#[derive(Debug)]
pub struct Host {
    pub(crate) kvm: Kvm,
}

impl Host {
    /// Opens the device and checks what the machine needs of it.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] with one line that says what is missing and how to mend it.
    pub fn open() -> Result<Self, EngineError> {
        Self::open_at(DEVICE)
    }

    /// As [`Host::open`], at another path.
    ///
    /// # Errors
    /// As there.
    pub fn open_at(path: &str) -> Result<Self, EngineError> {
        let path = CString::new(path).map_err(|error| unsupported(error.to_string()))?;
        let kvm = Kvm::new_with_path(path)
            .map_err(|error| refusal(&io::Error::from_raw_os_error(error.errno())))?;
        let version = kvm.get_api_version();
        if version < 0 {
            return Err(refusal(&Errno::NXIO.into()));
        }
        if version != API_VERSION {
            return Err(EngineError::Unsupported(format!(
                "{DEVICE} speaks version {version} of its interface, not {API_VERSION}: use another kernel, \
                 or --engine soft"
            )));
        }
        let host = Self { kvm };
        for (capability, what, since) in NEEDED {
            if host.capability(capability) <= 0 {
                return Err(EngineError::Unsupported(format!(
                    "{DEVICE} lacks {what} (in Linux since {since}): use a newer kernel, or --engine soft"
                )));
            }
        }
        Ok(host)
    }

    /// What the kernel says about a capability; zero when it lacks it.
    pub(crate) fn capability(&self, number: u32) -> i32 {
        self.kvm.check_extension_raw(number.into())
    }

    /// The most vCPUs of a machine.
    pub fn most_cpus(&self) -> u32 {
        let ids = self.kvm.get_max_vcpu_id().min(self.kvm.get_max_vcpus());
        u32::try_from(ids).unwrap_or(u32::MAX)
    }

    /// The frequency that a guest's TSC has by itself, in kHz.
    ///
    /// # Errors
    /// When the host refuses a VM.
    pub fn tsc_khz(&self) -> Result<u32, EngineError> {
        let vm = done(self.kvm.create_vm()).map_err(failed("making a VM"))?;
        vm_tsc_khz(&vm).map_err(failed("asking for the TSC's frequency"))
    }

    /// Whether guests may have a TSC slower than the host's.
    pub fn scales_tsc(&self) -> bool {
        self.capability(KVM_CAP_TSC_CONTROL) > 0
    }

    /// Checks a number of vCPUs.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] when it is too large.
    pub fn check_cpus(&self, cpus: u32) -> Result<(), EngineError> {
        let most = self.most_cpus();
        if (1..=most).contains(&cpus) {
            return Ok(());
        }
        Err(EngineError::Unsupported(format!(
            "{cpus} CPUs, where {DEVICE} allows {most}: ask for fewer, or use --engine soft"
        )))
    }
}

/// Why the device could not be opened, and what to do.
fn refusal(error: &io::Error) -> EngineError {
    let advice = match Errno::from_io_error(error) {
        Some(Errno::NOENT) => {
            "no such device: load the module kvm_intel or kvm_amd, switch on virtualization in the firmware, \
             or enable nested virtualization for this machine"
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            "no permission: join the group that owns it (`sudo usermod -aG kvm $USER`, then log in again)"
        }
        Some(Errno::NODEV | Errno::NXIO) => {
            "no driver behind it: load the module kvm_intel or kvm_amd"
        }
        Some(Errno::BUSY) => "another hypervisor holds the processor: end it first",
        _ => return EngineError::Unsupported(format!("{DEVICE}: {error}; or use --engine soft")),
    };
    EngineError::Unsupported(format!("{DEVICE}: {advice}; or use --engine soft"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(errno: Errno) -> String {
        refusal(&errno.into()).to_string()
    }

    #[test]
    fn what_is_no_kvm_is_refused() {
        let refused = |path| {
            Host::open_at(path)
                .map(|_| ())
                .expect_err("it is none")
                .to_string()
        };
        assert!(refused("/nonexistent/kvm").contains("no such device"));
        assert!(refused("/dev/null").contains("no driver behind it"));
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        assert!(line(Errno::NOENT).contains("load the module"));
        assert!(line(Errno::ACCESS).contains("usermod -aG kvm"));
        assert!(line(Errno::PERM).contains("no permission"));
        assert!(line(Errno::BUSY).contains("another hypervisor"));
        assert!(line(Errno::NXIO).contains("no driver"));
        assert!(line(Errno::NOMEM).contains("Cannot allocate memory"));
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::NODEV, Errno::NOMEM] {
            assert!(line(errno).starts_with(DEVICE) && !line(errno).contains('\n'));
        }
    }
}
