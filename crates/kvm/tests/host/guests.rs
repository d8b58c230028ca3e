//! The tiny guests under KVM. `TINY=text` in the environment runs those whose names contain it.

use crate::{engine, is_there};

#[test]
fn guests_end_as_they_should() {
    if !is_there() {
        return;
    }
    let guests = tinyguest::all().unwrap();
    let only = std::env::var("TINY").unwrap_or_default();
    for guest in guests.iter().filter(|guest| guest.name.contains(&only)) {
        let start = std::time::Instant::now();
        let c =
            conformance::run(guest, &engine, std::time::Duration::from_secs(5)).complaint(guest);
        println!(
            "{:?} {}: {}",
            start.elapsed(),
            guest.name,
            c.unwrap_or("ok".into())
        );
    }
}
