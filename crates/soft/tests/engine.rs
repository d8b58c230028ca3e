//! The engine's seams, and what is particular to the software engine.

use std::sync::Arc;

use conformance::Setup;
use iface::{Clock, Engine, EngineError};
use mem::{Gpa, GuestRam};
use soft::{Config, SoftEngine};
use x86::CpuState;

fn engine(setup: &Setup) -> Result<Arc<dyn Engine>, EngineError> {
    let engine = SoftEngine::new(Config {
        ram: setup.ram.clone(),
        clock: setup.clock.clone(),
        cpus: setup.cpus,
        tsc_khz: Config::TSC_KHZ,
        translate: soft::Translate::default(),
        code_cache: Config::CODE_CACHE,
    })?;
    Ok(Arc::new(engine))
}

conformance::seam_tests!(engine);
conformance::debug_tests!(engine);

struct Still;

impl Clock for Still {
    fn now(&self) -> u64 {
        0
    }

    fn wall(&self) -> u64 {
        0
    }
}

#[test]
fn refuses_what_it_can_not_be() {
    let ram = Arc::new(GuestRam::new(&[(Gpa(0), 1 << 20)]).expect("there is memory"));
    for (cpus, tsc_khz) in [(0, 1_000_000), (65, 1_000_000), (1, 0), (1, 20_000_000)] {
        let config = Config {
            ram: ram.clone(),
            clock: Arc::new(Still),
            cpus,
            tsc_khz,
            translate: soft::Translate::default(),
            code_cache: Config::CODE_CACHE,
        };
        let refused = SoftEngine::new(config).err();
        assert!(
            matches!(refused, Some(EngineError::State(_))),
            "{cpus} {tsc_khz}"
        );
    }
    let setup = Setup {
        ram,
        clock: Arc::new(Still),
        cpus: 1,
    };
    let engine = engine(&setup).expect("the engine can be made");
    assert!(engine.vcpu(1).is_err());
    let mut state = CpuState::reset(0);
    state.cr0 |= 1 << 31;
    let mut vcpu = engine.vcpu(0).expect("there is a vCPU 0");
    assert!(vcpu.load(&state).is_err(), "paging without protection");
}
