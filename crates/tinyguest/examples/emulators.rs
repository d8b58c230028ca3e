//! Runs tiny guests on other people's machines and prints a line for each.
//!
//! `cargo run -p tinyguest --example emulators -- [qemu|kvm|bochs]... [part of a guest's name]...`
//!
//! For sweeps it adds what their headers should expect.

use std::process::ExitCode;

use tinyguest::emulator::Emulator;
use tinyguest::{Error, TinyGuest};

fn main() -> Result<ExitCode, Error> {
    let (mut emulators, mut parts) = (Vec::new(), Vec::new());
    for argument in std::env::args().skip(1) {
        match Emulator::ALL
            .into_iter()
            .find(|emulator| emulator.name() == argument)
        {
            Some(emulator) => emulators.push(emulator),
            None => parts.push(argument),
        }
    }
    if emulators.is_empty() {
        emulators.push(Emulator::Qemu);
    }
    let mut guests = tinyguest::all()?;
    guests.retain(|guest| {
        parts.is_empty() || parts.iter().any(|part| guest.name.contains(part.as_str()))
    });
    let mut surprises = 0;
    for emulator in emulators {
        if let Some(why) = emulator.missing() {
            println!("{}: skipped: {why}", emulator.name());
            continue;
        }
        for guest in &guests {
            surprises += u32::from(!report(emulator, guest));
        }
    }
    println!("{surprises} surprises");
    Ok(if surprises == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether the guest ended as its header says, or the emulator differed as the header says.
fn report(emulator: Emulator, guest: &TinyGuest) -> bool {
    let known = guest
        .differs
        .iter()
        .find(|difference| difference.emulator == emulator.name());
    let (complaint, sums) = match emulator.run(guest) {
        Ok(outcome) => (outcome.complaint, sums(&outcome.low)),
        Err(error) => (Some(error.to_string()), String::new()),
    };
    let sums = if guest.name.starts_with("sweep") {
        sums
    } else {
        String::new()
    };
    let (word, fine) = match (&complaint, known) {
        (None, Some(known)) if known.always => (
            format!("PASSES, but is noted to differ: {}", known.why),
            false,
        ),
        (None, _) => ("ok".to_owned(), true),
        (Some(complaint), Some(known)) => (format!("differs: {} ({complaint})", known.why), true),
        (Some(complaint), None) => (format!("FAILS: {complaint}"), false),
    };
    println!("{:6} {:32} {word}{sums}", emulator.name(), guest.name);
    fine
}

/// A sweep's checksum and number of outcomes, as a header states them.
fn sums(low: &[u8]) -> String {
    let word = |address: usize| {
        let bytes = low.get(address..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    format!(
        " (mem[0x600]={:#x} mem[0x608]={:#x})",
        word(0x600),
        word(0x608)
    )
}
