//! The engine on this host's `/dev/kvm`. Where there is none every test passes, having said so.

mod doorbell;
mod guests;
mod migration;
mod quirk;
mod state;

use std::sync::Arc;

use conformance::Setup;
use iface::{Engine, EngineError};
use kvm::{Config, Host, KvmEngine, Quirk};
use soft::SoftEngine;

/// Makes the engine.
fn engine(setup: &Setup) -> Result<Arc<dyn Engine>, EngineError> {
    let engine = KvmEngine::new(Config {
        ram: setup.ram.clone(),
        clock: setup.clock.clone(),
        cpus: setup.cpus,
        tsc_khz: None,
        assist: true,
    })?;
    Ok(Arc::new(engine))
}

/// Makes the software engine for the same machine.
fn software(setup: &Setup) -> Result<Arc<dyn Engine>, EngineError> {
    let engine = SoftEngine::new(soft::Config {
        ram: setup.ram.clone(),
        clock: setup.clock.clone(),
        cpus: setup.cpus,
        tsc_khz: Host::open()?.tsc_khz()?,
        translate: soft::Translate::default(),
        code_cache: soft::Config::CODE_CACHE,
    })?;
    Ok(Arc::new(engine))
}

/// Whether this host has what the tests need.
fn is_there() -> bool {
    match Host::open() {
        Ok(_) => true,
        Err(reason) => {
            println!("SKIPPED: {reason}");
            false
        }
    }
}

conformance::seam_tests!(engine, if is_there);
conformance::debug_tests! {
    engine, is_there, breakpoints_stop_before_their_instructions steps_are_one_instruction
}
conformance::debug_tests!(engine, has_watchpoints, watchpoints_stop_behind_accesses);

#[test]
fn too_many_processors_are_refused_in_one_line() {
    let Ok(host) = Host::open() else {
        return assert!(!is_there());
    };
    let cpus = host.most_cpus() + 1;
    let ram = mem::GuestRam::new(&[(mem::Gpa(0), 1 << 20)]).expect("there is memory");
    let refused = KvmEngine::new(Config {
        ram: Arc::new(ram),
        clock: Arc::new(doorbell::HostClock),
        cpus,
        tsc_khz: None,
        assist: true,
    });
    let line = refused.err().expect("it is too many").to_string();
    let most = cpus - 1;
    assert!(line.starts_with(&format!("{cpus} CPUs, where /dev/kvm allows {most}")));
    assert!(
        line.contains("--engine soft") && !line.contains('\n'),
        "{line}"
    );
}

/// Whether accesses of kernels are looked at here: an emulator does not.
fn has_watchpoints() -> bool {
    let Ok(host) = Host::open() else {
        return is_there();
    };
    let quirks = kvm::examine(host).expect("it runs a loop").quirks;
    let emulates = quirks.contains(&Quirk::EmulatesKernels);
    if emulates {
        println!("SKIPPED: this host's KVM: {}", Quirk::EmulatesKernels);
    }
    !emulates
}
