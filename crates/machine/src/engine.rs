//! Which engine executes the guest.

use std::sync::Arc;

use iface::{Clock, Engine};
use kvm::KvmEngine;
use mem::GuestRam;
use soft::SoftEngine;

use crate::choice::choose;
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
    let kind = match spec.engine {
        EngineKind::Auto => {
            let choice = choose(spec.cpus);
            tracing::info!("{choice}");
            choice.kind
        }
        kind => kind,
    };
    match kind {
        EngineKind::Auto | EngineKind::Soft => Ok(Arc::new(SoftEngine::new(soft::Config {
            ram: ram.clone(),
            clock: clock.clone(),
            cpus: spec.cpus,
            tsc_khz: spec.tsc_khz.unwrap_or(soft::Config::TSC_KHZ),
            translate: match spec.lockstep {
                Some(most) => soft::Translate::InStep(most),
                None if spec.interpret => soft::Translate::Never,
                None => soft::Translate::default(),
            },
            code_cache: spec.code_cache as usize,
        })?)),
        EngineKind::Kvm => Ok(Arc::new(KvmEngine::new(kvm::Config {
            ram: ram.clone(),
            clock: clock.clone(),
            cpus: spec.cpus,
            tsc_khz: spec.tsc_khz,
            assist: true,
        })?)),
    }
}
