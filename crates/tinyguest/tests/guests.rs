//! Every guest assembles, and ends under QEMU as its header says.

use tinyguest::emulator::Emulator;

#[test]
fn guests_assemble_and_fit_below_the_page_tables() {
    let guests = tinyguest::all().unwrap();
    assert!(!guests.is_empty());
    for guest in guests {
        assert!(
            !guest.summary.is_empty(),
            "{} does not say what it tests",
            guest.name
        );
        assert!(
            guest.load + guest.binary.len() as u64 <= 0x4_0000,
            "{} is too large",
            guest.name
        );
    }
}

#[test]
fn guests_end_under_qemu_as_they_should() {
    if let Some(why) = Emulator::Qemu.missing() {
        println!("skipped: {why}");
        return;
    }
    let mut surprises = Vec::new();
    for guest in tinyguest::all().unwrap() {
        let known = guest
            .differs
            .iter()
            .find(|difference| difference.emulator == "qemu");
        match (Emulator::Qemu.run(&guest).unwrap().complaint, known) {
            (Some(complaint), None) => surprises.push(format!("{}: {complaint}", guest.name)),
            (None, Some(known)) if known.always => {
                surprises.push(format!("{}: no longer differs: {}", guest.name, known.why))
            }
            (None, _) | (Some(_), Some(_)) => {}
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}
