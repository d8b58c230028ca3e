//! The software processor against the host's, a few cases of every form. `cargo xtask fuzz-cpu` runs as long as
//! wanted.

use oracle::Fuzz;

#[test]
fn every_form_agrees_with_the_host() {
    if !std::arch::is_x86_feature_detected!("avx2") {
        println!(
            "SKIPPED: the host has no AVX2, so its signal frames lack the registers to compare"
        );
        return;
    }
    let rounds = std::env::var("ORACLE_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12);
    let seed = std::env::var("ORACLE_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let filter = std::env::var("ORACLE_FILTER").unwrap_or_default();
    let mut fuzz = Fuzz::new(seed, &filter).unwrap();
    let report = fuzz.rounds(rounds).unwrap();
    println!(
        "{} cases of {} forms, {} of them faults, in {:.1} s",
        report.cases,
        report.forms,
        report.faults,
        report.time.as_secs_f64()
    );
    for (form, (times, text)) in &report.disagreements {
        println!("{form}: {times} times\n{text}");
    }
    let forms: Vec<_> = report.disagreements.keys().collect();
    assert!(
        forms.is_empty(),
        "{} forms disagree: {forms:?}",
        forms.len()
    );
}
