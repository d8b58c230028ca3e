//! The software processor, in each of its ways, against the host's: programs of many instructions. `cargo xtask
//! fuzz-cpu` runs as long as wanted.

use std::sync::Arc;

use mem::GuestRam;
use oracle::Weave;
use oracle::software::way::{STEP, Way};
use soft::Stepper;
use x86::Exception;

#[test]
fn programs_come_to_the_same_end_everywhere() {
    let number = |name: &str, default| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let host = std::arch::is_x86_feature_detected!("avx2");
    if !host {
        println!("the host has no AVX2, so its signal frames lack the registers to compare");
    }
    let mut weave = Weave::new(number("ORACLE_SEED", 1), host).unwrap();
    let report = weave.rounds(number("ORACLE_PROGRAMS", 6000)).unwrap();
    println!(
        "{} programs of {} forms, {} ended by faults, in {:.1} s",
        report.cases,
        report.forms,
        report.faults,
        report.time.as_secs_f64()
    );
    for (name, (times, text)) in &report.disagreements {
        println!("{name}: {times} times\n{text}");
    }
    let count = report.disagreements.len();
    assert_eq!(count, 0, "programs disagree");
    assert!(report.faults > report.cases / 50, "hardly a program faults");
    assert!(
        report.faults < report.cases * 9 / 10,
        "hardly a program ends"
    );
}

/// Loses CF at the end of a program.
fn forgetful(stepper: &mut Stepper, until: u64, most: u64) -> Option<(Exception, u64)> {
    let result = (STEP.run)(stepper, until, most);
    let mut state = stepper.save();
    state.rflags &= !x86::flags::CF;
    stepper
        .load(&state)
        .expect("a state that it had can be had again");
    result
}

#[test]
fn a_processor_that_forgets_a_flag_is_found_out_with_few_instructions() {
    let make: fn(Arc<GuestRam>) -> Stepper = Stepper::new;
    let broken = Way {
        name: "broken",
        make,
        run: forgetful,
    };
    let mut weave = Weave::with_ways(1, false, &[STEP, broken]).unwrap();
    let report = weave.rounds(100).unwrap();
    let texts = report.disagreements.values().map(|(_, text)| text.as_str());
    let shortest = texts.min_by_key(|text| text.lines().count()).unwrap();
    assert!(
        shortest.starts_with("`broken` against `step`"),
        "{shortest}"
    );
    assert!(shortest.contains("rflags: "), "{shortest}");
    // A line of title, registers, state, xsave and the difference each, INT3, and an instruction or two
    assert!(shortest.lines().count() <= 8, "{shortest}");
}

/// Panics at the end of a program with CF set, having come to the same state.
fn fearful(stepper: &mut Stepper, until: u64, most: u64) -> Option<(Exception, u64)> {
    let result = (STEP.run)(stepper, until, most);
    let flags = stepper.save().rflags;
    assert!(flags & x86::flags::CF == 0, "a carry\nflags {flags:#x}");
    result
}

#[test]
fn a_processor_that_panics_is_found_out_with_few_instructions_and_goes_on() {
    let broken = Way {
        name: "broken",
        run: fearful,
        ..STEP
    };
    let mut weave = Weave::with_ways(1, false, &[STEP, broken]).unwrap();
    let report = weave.rounds(100).unwrap();
    assert_eq!(report.cases, 100);
    let found: u64 = report.disagreements.values().map(|(times, _)| times).sum();
    assert!((10..100).contains(&found), "{found} programs");
    for (_, text) in report.disagreements.values() {
        let title = text.lines().next().unwrap();
        assert!(title.starts_with("`broken` panicked at "), "{title}");
        assert!(
            title.contains("programs.rs:") && title.contains(": a carry ["),
            "{title}"
        );
        assert!(text.contains("\n   flags 0x"), "{text}");
    }
    let texts = report.disagreements.values().map(|(_, text)| text.as_str());
    let shortest = texts.min_by_key(|text| text.lines().count()).unwrap();
    assert!(shortest.lines().count() <= 8, "{shortest}");
}
