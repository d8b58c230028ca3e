//! `compare [FILTER [ROUNDS [SEED]]]`: the software processor against the host's, over the forms whose name
//! contains FILTER (lower case), ROUNDS cases each.

use oracle::Fuzz;

fn main() -> Result<(), oracle::fuzz::Error> {
    let mut arguments = std::env::args().skip(1);
    let filter = arguments.next().unwrap_or_default();
    let mut number = |default| {
        arguments
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (rounds, seed) = (number(40), number(1));
    let mut fuzz = Fuzz::new(seed as u64, &filter)?;
    let report = fuzz.rounds(rounds)?;
    for (form, (times, text)) in &report.disagreements {
        println!("{form}: {times} times\n{text}");
    }
    println!(
        "{}",
        report
            .disagreements
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    );
    println!(
        "{} cases of {} forms, {} of them faults, {} disagreeing instructions, {:.0} cases/s",
        report.cases,
        report.forms,
        report.faults,
        report.disagreements.len(),
        report.cases as f64 / report.time.as_secs_f64()
    );
    Ok(())
}
