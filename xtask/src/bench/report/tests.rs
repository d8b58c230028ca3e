use super::super::plan::own;
use super::*;

fn row(name: &str, group: Group, stage: Option<Stage>) -> Row {
    Row {
        name: name.to_owned(),
        group,
        stage,
    }
}

fn report() -> Report {
    let plan = Plan {
        rows: vec![
            row("loop", Group::Integer, Some(Stage::One)),
            row("x87", Group::Float, Some(Stage::One)),
            row("2-to-1", Group::Ratio, Some(Stage::Two)),
            row(own::INIT, Group::Boot, None),
            row(own::MEMORY, Group::Size, None),
            row("layer", Group::Difference, None),
            row(own::DEMONSTRATION, Group::Boot, None),
        ],
        filters: Vec::new(),
        sides: vec![Side::Suz, Side::Qemu, Side::Native],
    };
    Report::new(&plan, None)
}

fn filled() -> Report {
    let mut report = report();
    for (name, suz, qemu, native) in [
        ("loop", 20.0, 80.0, 10.0),
        ("x87", 20.0, 20.0, 10.0),
        ("2-to-1", 1.9, 1.5, 2.0),
    ] {
        report.add(name, Side::Suz, suz);
        report.add(name, Side::Qemu, qemu);
        report.add(name, Side::Native, native);
    }
    report.add(own::INIT, Side::Suz, 0.8e9);
    report.add(own::INIT, Side::Qemu, 1.0e9);
    report.add(own::MEMORY, Side::Suz, 2048.0);
    report.add(own::MEMORY, Side::Qemu, 4096.0);
    report
}

#[test]
fn ratios_means_and_misses() {
    let report = filled();
    assert_eq!(report.to_qemu("loop"), Some(4.0));
    assert_eq!(report.to_native("x87"), Some(2.0));
    assert!((report.mean_to_qemu(None).unwrap() - 2.0).abs() < 1e-12);
    let missed = |name: &str| {
        let row = report.rows.iter().find(|row| row.name == name).unwrap();
        report.misses(row)
    };
    assert!(missed("loop").is_empty());
    assert_eq!(missed("x87"), ["≤ 1.3 × native"]);
    assert!(missed("2-to-1").is_empty());
    assert_eq!(missed(own::INIT), ["≥ 1.43 × QEMU's speed"]);
    assert!(missed(own::MEMORY).is_empty());
    let table = report.table();
    assert!(
        table.contains("| loop | 20.00 ns | 80.00 ns | 10.00 ns | 4.00 | 2.00 |  |"),
        "{table}"
    );
    assert!(
        table.contains("| monitor-memory | 2.0 MiB | 4.0 MiB | – | 2.00 | – |  |"),
        "{table}"
    );
    let goals = report.goals();
    assert!(
        goals.contains("2.00 times QEMU's speed. Goal: 3, later 4: missed."),
        "{goals}"
    );
    assert!(
        goals.contains("- float: 0 of 1 rows meet their goals; missed: x87."),
        "{goals}"
    );
    assert!(report.verdict().is_ok());
}

#[test]
fn a_row_that_differs_less_than_its_rounds_is_as_fast() {
    let misses = |suz: [f64; 5], qemu: [f64; 5]| {
        let mut report = report();
        for (suz, qemu) in suz.into_iter().zip(qemu) {
            report.add("loop", Side::Suz, suz);
            report.add("loop", Side::Qemu, qemu);
        }
        report.misses(&report.rows[0])
    };
    let qemu = [100.0, 98.0, 99.0, 103.0, 104.0];
    assert!(misses([101.0, 97.0, 99.0, 104.0, 106.0], qemu).is_empty());
    // All rounds say so, or it is much.
    let missed = ["≥ 1.00 × QEMU's speed"];
    assert_eq!(misses([104.0, 105.0, 104.0, 105.0, 106.0], qemu), missed);
    assert_eq!(misses([90.0, 91.0, 110.0, 111.0, 112.0], qemu), missed);
}

#[test]
fn two_processors_need_not_do_more_than_the_hosts() {
    for (suz, native, missed) in [
        (1.78, 1.9, true),
        (1.85, 1.9, false),
        (1.78, 1.75, false),
        (1.7, 1.75, true),
    ] {
        let mut report = report();
        report.add("2-to-1", Side::Suz, suz);
        report.add("2-to-1", Side::Native, native);
        let row = row("2-to-1", Group::Ratio, None);
        assert_eq!(report.misses(&row).len(), usize::from(missed), "{suz}");
    }
}

#[test]
fn reasons_are_given_for_rows_that_miss() {
    let mut report = filled();
    report.add(own::DEMONSTRATION, Side::Suz, 15e6);
    assert_eq!(report.reasons(), "");
    report.add(own::DEMONSTRATION, Side::Suz, 30e6);
    report.add(own::DEMONSTRATION, Side::Suz, 30e6);
    assert!(report.reasons().contains(own::DEMONSTRATION));
}

#[test]
fn different_results_and_missing_rows_are_told() {
    let mut report = filled();
    let check = |sum: &str| vec![Figure::Check("gcc".into(), sum.into())];
    report.add_all(Side::Suz, check("1"));
    report.add_all(Side::Qemu, check("1"));
    assert!(report.verdict().is_ok());
    report.add_all(Side::Native, check("2"));
    let error = report.verdict().unwrap_err().to_string();
    assert_eq!(error, "gcc puts out 2 on the host and 1 on suz");

    let mut report = filled();
    report.figures.remove(&("loop".to_owned(), Side::Qemu));
    let error = report.verdict().unwrap_err().to_string();
    assert_eq!(error, "loop gave no figure on QEMU");
    report.add_all(Side::Qemu, vec![Figure::Skip("loop".into(), "old".into())]);
    assert!(report.verdict().is_ok());
}

#[test]
fn a_wrong_clock_is_told() {
    let mut report = filled();
    let clock = |guest| Clock { guest, host: 10.0 };
    report.add_clock(Stage::One, Side::Suz, clock(9.8));
    assert!(report.verdict().is_ok());
    report.add_clock(Stage::Two, Side::Qemu, clock(9.6));
    let error = report.verdict().unwrap_err().to_string();
    assert_eq!(
        error,
        "the clock of QEMU's guest (two) told 9.60 s when 10.00 s had passed"
    );
}

#[test]
fn a_run_is_compared_with_the_figures_of_an_earlier_one() {
    let earlier = serde_json::from_str(&filled().json().unwrap()).unwrap();
    let mut now = report();
    // Twice as fast, on a host that is now twice as slow.
    now.add("loop", Side::Suz, 20.0);
    now.add("loop", Side::Native, 20.0);
    now.add("x87", Side::Suz, 5.0);
    let text = now.compared(&earlier);
    assert!(
        text.contains("| loop | 20.00 ns | 20.00 ns | 2.00 |\n"),
        "{text}"
    );
    assert!(
        text.contains("| x87 | 20.00 ns | 5.00 ns | 4.00 |\n"),
        "{text}"
    );
    assert!(text.contains("| *geometric mean* | | | 2.83 |\n"), "{text}");
    assert!(!text.contains("memory"), "{text}");
}

#[test]
fn a_difference_tells_its_spread_and_is_judged_by_it() {
    let mut report = report();
    let layer = row("layer", Group::Difference, None);
    for time in [-2e6, 90e6, 70e6, 80e6] {
        report.add("layer", Side::Suz, time);
    }
    assert_eq!(report.misses(&layer), ["≤ 50 ms"]);
    let table = report.table();
    let expected = "| layer | +75.0 ms (half of the pairs: +70.0 ms to +80.0 ms) |";
    assert!(table.contains(expected), "{table}");
    for time in [1e6, 2e6, 60e6, 70e6] {
        report.add("layer", Side::Suz, time);
    }
    assert!(report.misses(&layer).is_empty());
}
