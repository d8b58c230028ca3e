//! The program that benchmarks run in the guest and on the bare host: a row for each kind of work, each repeated
//! until it took long enough, its time printed as `row NAME NANOSECONDS` for one unit of work.

mod integer;
mod memory;
mod system;

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A kind of work: its name, and what does `n` units of it.
type Row = (&'static str, fn(u64));

const ROWS: &[Row] = &[
    ("integer-loop", integer::add_shift_xor),
    ("dependent-multiply", integer::multiply),
    ("sort", integer::sort),
    ("recursion", integer::fibonacci),
    ("pointer-chase-32K", memory::chase::<{ 32 << 10 }>),
    ("pointer-chase-4M", memory::chase::<{ 4 << 20 }>),
    ("load-store", memory::mixed),
    ("memcpy-1M", memory::copy),
    ("float-scalar", integer::float),
    ("system-call", system::getppid),
    ("fork-exec", system::fork_exec),
];

/// Runs each row whose name contains an argument, or all rows, for at least `WORKLOAD_MS` milliseconds.
fn main() {
    let filters: Vec<String> = std::env::args().skip(1).collect();
    let least = std::env::var("WORKLOAD_MS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200);
    for (name, work) in ROWS {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            println!(
                "row {name} {:.2}",
                measure(*work, Duration::from_millis(least))
            );
        }
    }
}

/// Nanoseconds for a unit of work.
fn measure(work: fn(u64), least: Duration) -> f64 {
    let mut units = 1;
    loop {
        let start = Instant::now();
        work(black_box(units));
        let time = start.elapsed();
        if time >= least {
            return time.as_nanos() as f64 / units as f64;
        }
        // Aim a little past the goal, but trust a short measurement by a factor of ten at most.
        let factor = least.as_secs_f64() * 1.2 / time.as_secs_f64().max(1e-9);
        units = (units as f64 * factor.clamp(1.5, 10.0)) as u64 + 1;
    }
}
