//! What `auto` chooses: by trying, not by hoping.
//!
//! KVM when guests run there on the processor itself; else the software CPU. Some hosts offer a `/dev/kvm` that is
//! itself software, and runs an unmodified kernel hundreds of times slower than ours, or not at all.

use std::fmt;
use std::path::Path;

use iface::EngineError;
use kvm::{Findings, Host};

use crate::spec::EngineKind;

/// The engine that `auto` stands for on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// [`EngineKind::Kvm`] or [`EngineKind::Soft`].
    pub kind: EngineKind,
    /// Why, in one clause.
    pub reason: String,
    /// Whoever knows that there is a `/dev/kvm` may wonder.
    pub surprises: bool,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EngineKind::Kvm => write!(f, "the guest runs on KVM: {}", self.reason),
            _ => write!(f, "the guest runs on the software CPU: {}", self.reason),
        }
    }
}

/// Chooses for a machine of so many CPUs; takes a few milliseconds.
pub fn choose(cpus: u32) -> Choice {
    let found = Host::open().and_then(|host| {
        host.check_cpus(cpus)?;
        kvm::glance(host)
    });
    decide(found, Path::new(kvm::DEVICE).exists())
}

fn decide(found: Result<Findings, EngineError>, exists: bool) -> Choice {
    match found {
        Ok(findings) if findings.is_hardware() => Choice {
            kind: EngineKind::Kvm,
            reason: "this host's KVM runs guests at hardware speed".into(),
            surprises: false,
        },
        Ok(findings) => Choice {
            kind: EngineKind::Soft,
            reason: format!(
                "{} here is no hardware ({findings}); `suz doctor` tells more",
                kvm::DEVICE
            ),
            surprises: true,
        },
        Err(_) if !exists => Choice {
            kind: EngineKind::Soft,
            reason: format!("there is no {}", kvm::DEVICE),
            surprises: false,
        },
        Err(error) => Choice {
            kind: EngineKind::Soft,
            reason: error.to_string().replace("; or use --engine soft", ""),
            surprises: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use kvm::Quirk;

    use super::*;

    fn found(speed: f64, quirks: &[Quirk]) -> Choice {
        let quirks = quirks.to_vec();
        decide(Ok(Findings { speed, quirks }), true)
    }

    #[test]
    fn hardware_is_taken_without_a_word() {
        let choice = found(2000.0, &[]);
        assert_eq!((choice.kind, choice.surprises), (EngineKind::Kvm, false));
    }

    #[test]
    fn software_behind_the_device_is_not() {
        for choice in [found(1.4, &[]), found(2000.0, &[Quirk::FixesTsc])] {
            assert_eq!((choice.kind, choice.surprises), (EngineKind::Soft, true));
            assert!(!choice.to_string().contains('\n'));
        }
        assert!(
            found(1.4, &[])
                .to_string()
                .contains("no hardware (1.4 million steps a second")
        );
    }

    #[test]
    fn who_has_no_device_hears_nothing_and_who_may_not_use_it_does() {
        let refused = || Err(EngineError::Unsupported("no permission".into()));
        assert!(!decide(refused(), false).surprises);
        let choice = decide(refused(), true);
        assert!(choice.surprises && choice.to_string().ends_with("CPU: no permission"));
    }
}
