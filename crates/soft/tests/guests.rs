//! The tiny guests on the software engine, interpreted, translated, and both in lockstep. `TINY=text` in the environment runs those whose names contain it.

use std::sync::{Arc, Mutex, PoisonError};

use conformance::Setup;
use iface::{Engine, EngineError};
use soft::{Config, SoftEngine, Translate};

fn engine(setup: &Setup, translate: Translate) -> Result<Arc<dyn Engine>, EngineError> {
    let translate = match translate {
        // Lockstep is for one.
        Translate::InStep(_) if setup.cpus > 1 => Translate::After(0),
        other => other,
    };
    let engine = SoftEngine::new(Config {
        ram: setup.ram.clone(),
        clock: setup.clock.clone(),
        cpus: setup.cpus,
        tsc_khz: Config::TSC_KHZ,
        translate,
        code_cache: Config::CODE_CACHE,
    })?;
    Ok(Arc::new(engine))
}

#[test]
fn guests_end_as_they_should() {
    run(Translate::Never);
}

#[test]
fn guests_end_as_they_should_where_all_is_translated() {
    run(Translate::After(0));
}

#[test]
fn guests_end_as_they_should_in_lockstep() {
    run(Translate::InStep(u64::MAX));
}

fn run(translate: Translate) {
    // One after the other: they measure time.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = |setup: &Setup| engine(setup, translate);
    let guests = match tinyguest::all() {
        Ok(guests) => guests,
        Err(error @ tinyguest::Error::Missing { .. }) => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let only = std::env::var("TINY").unwrap_or_default();
    let mut failures = conformance::run_all(&guests, &engine, |guest| guest.name.contains(&only));
    // Guests that measure time can fail where the host's processors are busy with something else. Such a guest is
    // right sooner or later; one that is wrong is wrong again.
    for round in 1..=4 {
        if failures.is_empty() {
            break;
        }
        println!("again, round {round}: {} guests", failures.len());
        std::thread::sleep(std::time::Duration::from_secs(2));
        failures = conformance::run_all(&guests, &engine, |guest| {
            failures.iter().any(|failed| failed.name == guest.name)
        });
    }
    assert!(
        failures.is_empty(),
        "{} of the guests failed",
        failures.len()
    );
}
