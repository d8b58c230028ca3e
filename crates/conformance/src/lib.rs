//! One suite for every engine: runs the tiny guests and compares how they end with what they promise.
//!
//! A guest gets a board with the real chipset and nothing else ([`board`]); an engine is made by a function that
//! the caller gives, so that this crate knows none.

mod board;
mod clock;
pub mod debug;
pub mod migration;
pub mod seam;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use iface::{Clock, Engine, EngineError};
use mem::GuestRam;
use tinyguest::TinyGuest;

pub use session::{Ended, run};

/// What an engine is made from.
pub struct Setup {
    /// RAM from address 0.
    pub ram: Arc<GuestRam>,
    /// Host time.
    pub clock: Arc<dyn Clock>,
    /// Number of vCPUs.
    pub cpus: u32,
}

/// Makes an engine.
pub type MakeEngine<'a> = dyn Fn(&Setup) -> Result<Arc<dyn Engine>, EngineError> + 'a;

/// How long a guest may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A guest that did not end as it should.
#[derive(Debug)]
pub struct Failure {
    /// The guest.
    pub name: String,
    /// What went wrong, one line.
    pub reason: String,
}

/// Runs every guest for which `wanted` is true, printing a line for each that fails, and returns those.
pub fn run_all(
    guests: &[TinyGuest],
    make: &MakeEngine<'_>,
    wanted: impl Fn(&TinyGuest) -> bool,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    let start = Instant::now();
    let mut count = 0;
    for guest in guests.iter().filter(|guest| wanted(guest)) {
        count += 1;
        if let Some(reason) = run(guest, make, PATIENCE).complaint(guest) {
            println!("{}: {reason}", guest.name);
            failures.push(Failure {
                name: guest.name.clone(),
                reason,
            });
        }
    }
    println!(
        "{count} tiny guests, {} failed, {:.1} s",
        failures.len(),
        start.elapsed().as_secs_f64()
    );
    failures
}
