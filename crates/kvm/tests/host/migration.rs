//! A guest that moves between KVM and the software CPU ends as one that stays.

use std::time::{Duration, Instant};

use conformance::migration::{self, Host, Moved};
use tinyguest::TinyGuest;

use crate::{engine, is_there, software};

/// Moves to each engine that the test wants to see.
const ENOUGH: u32 = 300;
/// Rounds of the guest.
const ROUNDS: u32 = 20_000;
/// What depends on when the guest's timer ticks: see the guest.
const VOLATILE: [u64; 2] = [0x6e, 0x6f];
const SEED: u64 = 0x0123_4567_89ab_cdef;
const PATIENCE: Duration = Duration::from_secs(20);

/// The guest, with rounds enough for the software CPU to be stopped in.
fn guest() -> TinyGuest {
    let guests = tinyguest::all().expect("the guests can be assembled");
    let mut guest = guests
        .into_iter()
        .find(|guest| guest.name == "migration")
        .expect("there is such a guest");
    // MOV R15D, 1500
    let bytes = [0x41, 0xbf, 0xdc, 0x05, 0, 0];
    let mut places = guest.binary.windows(6).enumerate();
    let (at, _) = places
        .find(|(_, code)| *code == bytes)
        .expect("it counts rounds");
    guest.binary[at + 2..at + 6].copy_from_slice(&ROUNDS.to_le_bytes());
    guest
}

fn run(guest: &TinyGuest, seed: u64, most: [u64; 2]) -> Moved {
    let hosts = [
        Host {
            make: &engine,
            most: most[0],
        },
        Host {
            make: &software,
            most: most[1],
        },
    ];
    migration::run(guest, &hosts, seed, PATIENCE)
}

#[test]
fn a_guest_moves_hundreds_of_times() {
    if !is_there() {
        return;
    }
    let guest = guest();
    let hour = 3_600_000_000;
    let undisturbed = run(&guest, SEED, [0, hour]);
    assert_eq!(
        (undisturbed.end, undisturbed.moves),
        (Some(guest.expect.end), [0, 1])
    );
    let (mut moves, mut seed) = ([0; 2], SEED);
    let start = Instant::now();
    while moves[0] < ENOUGH || moves[1] < ENOUGH {
        seed += 1;
        let moved = run(&guest, seed, [2_000, 60]);
        let difference = moved.difference(&undisturbed, &VOLATILE);
        assert_eq!(difference, None, "seed {seed:#x}, after {:?}", moved.moves);
        moves[0] += moved.moves[0];
        moves[1] += moved.moves[1];
        assert!(start.elapsed() < Duration::from_secs(60), "{moves:?}");
    }
    println!("{moves:?} moves in {:.1} s", start.elapsed().as_secs_f64());
}
