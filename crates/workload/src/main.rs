//! The program that benchmarks run in the guest and on the bare host.
//!
//! A *row* is a kind of work. Each is repeated until it took long enough; what it tells are lines:
//!
//! ```text
//! clock begin
//! row NAME VALUE     nanoseconds for one unit of work; for rows of the group `ratio`, the ratio
//! check NAME HASH    of what a program from a package has put out: it must be the same everywhere
//! skip NAME REASON   the processor or the root tree lacks something
//! clock end SECONDS  since the beginning, by this clock: for comparison with another
//! ```
//! `workload --list` prints `NAME GROUP STAGE` for each row; other arguments choose rows by a part of their names,
//! `--stage STAGE` by where they run. `--ping-pong ADDRESS` tells of bytes to an echo and back. `WORKLOAD_MS` says how many milliseconds a row takes at least.

mod atomic;
mod call;
mod code;
mod crypto;
mod float;
mod integer;
mod memory;
mod package;
mod parallel;
mod rows;
mod string;
mod system;
mod vector;

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rows::{ROWS, Row, Stage};

/// What `units` repetitions of a row's work are.
type Work = Box<dyn FnMut(u64)>;

/// What a row does.
enum Task {
    /// Work whose time is measured.
    Timed(Work),
    /// Something that measures itself, given the time that it should take.
    Ratio(fn(Duration) -> f64),
    /// Why it can't be done here.
    Missing(String),
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // What the fork-and-exec row starts.
        Some("--nothing") => return,
        Some("--list") => return list(),
        Some("--ping-pong") => return ping_pong(arguments.get(1).map_or("", String::as_str)),
        _ => {}
    }
    let mut stage = None;
    if let Some(at) = arguments.iter().position(|word| word == "--stage") {
        let words: Vec<String> = arguments.drain(at..(at + 2).min(arguments.len())).collect();
        stage = words.last().and_then(|word| Stage::parse(word));
        assert!(stage.is_some(), "--stage needs one, two or packages");
    }
    let least = std::env::var("WORKLOAD_MS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200);
    println!("clock begin");
    let begin = Instant::now();
    for row in ROWS {
        let chosen = arguments.is_empty()
            || arguments
                .iter()
                .any(|filter| row.name.contains(filter.as_str()));
        if chosen && stage.is_none_or(|stage| stage == row.stage) {
            run(row, Duration::from_millis(least));
        }
    }
    println!("clock end {:.6}", begin.elapsed().as_secs_f64());
}

fn list() {
    for Row {
        name, group, stage, ..
    } in ROWS
    {
        println!("{name} {} {}", group.name(), stage.name());
    }
}

fn run(row: &Row, least: Duration) {
    match (row.prepare)() {
        Task::Timed(mut work) => println!("row {} {:.3}", row.name, measure(&mut *work, least)),
        Task::Ratio(ratio) => println!("row {} {:.3}", row.name, ratio(least)),
        Task::Missing(reason) => println!("skip {} {reason}", row.name),
    }
}

/// The row of round trips of a byte to a server that echoes.
fn ping_pong(address: &str) {
    let mut stream = TcpStream::connect(address).expect("the echo can be reached");
    stream.set_nodelay(true).expect("it is a TCP socket");
    let mut trip = |units: u64| {
        for _ in 0..units {
            stream.write_all(&[1]).expect("the echo listens");
            stream.read_exact(&mut [0]).expect("the echo answers");
        }
    };
    let time = measure(&mut trip, Duration::from_secs(1));
    println!("row net-ping-pong {time:.3}");
}

/// Batches whose median is taken, so that what else the host does in one of them does not count.
const BATCHES: usize = 5;

/// Nanoseconds for a unit of work; one batch is enough where it takes as long as all should.
fn measure(work: &mut dyn FnMut(u64), least: Duration) -> f64 {
    let batch = least / BATCHES as u32;
    let mut units = 1;
    let mut time = timed(work, units);
    while time < batch {
        // Aim a little past the goal, but trust a short measurement by a factor of ten at most.
        let factor = batch.as_secs_f64() * 1.2 / time.as_secs_f64().max(1e-9);
        units = (units as f64 * factor.clamp(1.5, 10.0)) as u64 + 1;
        time = timed(work, units);
    }
    let mut times = vec![time];
    while times.len() < BATCHES && time < least {
        times.push(timed(work, units));
    }
    times.sort();
    times[times.len() / 2].as_nanos() as f64 / units as f64
}

fn timed(work: &mut dyn FnMut(u64), units: u64) -> Duration {
    let start = Instant::now();
    work(black_box(units));
    start.elapsed()
}
