//! Which engine executes the guest.

use std::sync::Arc;

use iface::{Clock, Engine, EngineError};
use mem::GuestRam;
use soft::{Config, SoftEngine};

use crate::spec::EngineKind;
use crate::{Error, Spec};

/// Makes the engine for a machine with this RAM and clock; tests make others.
pub(crate) type MakeEngine =
    dyn Fn(&Spec, &Arc<GuestRam>, &Arc<dyn Clock>) -> Result<Arc<dyn Engine>, Error>;

/// The engine that the spec asks for.
pub(crate) fn make(
    spec: &Spec,
    ram: &Arc<GuestRam>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Engine>, Error> {
    match spec.engine {
        EngineKind::Auto | EngineKind::Soft => {
            let engine = SoftEngine::new(Config {
                ram: ram.clone(),
                clock: clock.clone(),
                cpus: spec.cpus,
                tsc_khz: spec.tsc_khz.unwrap_or(Config::TSC_KHZ),
            })?;
            Ok(Arc::new(engine))
        }
        EngineKind::Kvm => Err(Error::Engine(EngineError::Unsupported(
            "this build has no KVM engine yet: use soft or auto".into(),
        ))),
    }
}
