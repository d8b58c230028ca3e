//! What a second processor brings: the work that two do together in the time that one does its own.
#![allow(unsafe_code, reason = "libc's functions are unsafe")]

use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Task, integer, system};

/// Sorts of numbers by threads.
pub(crate) fn compute() -> Task {
    Task::Ratio(|least| ratio(integer::sort, threads, least))
}

/// System calls, mappings and page faults by processes, which share no memory map that they could wait for.
pub(crate) fn system() -> Task {
    Task::Ratio(|least| ratio(calls_and_faults, processes, least))
}

fn calls_and_faults(n: u64) {
    system::call(20 * n);
    system::mapping::map_and_touch(n);
}

/// The throughput of two by that of one: the median of seven comparisons, since a host's processor may be taken away for
/// as long as one of them takes.
fn ratio(work: fn(u64), run: fn(usize, u64, fn(u64)), least: Duration) -> f64 {
    let each = crate::measure(&mut { work }, least / 4);
    let units = (least.as_nanos() as f64 / 2.0 / each) as u64 + 1;
    let time = |workers| {
        let start = Instant::now();
        run(workers, units, work);
        start.elapsed().as_secs_f64()
    };
    let mut ratios = [(); 7].map(|()| 2.0 * time(1) / time(2));
    ratios.sort_by(f64::total_cmp);
    ratios[3]
}

fn threads(count: usize, units: u64, work: fn(u64)) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| work(units));
        }
    });
}

fn processes(count: usize, units: u64, work: fn(u64)) {
    // SAFETY: this process has one thread, so the child may do what it likes; it leaves by `_exit`.
    let start = |_| unsafe {
        let child = libc::fork();
        if child == 0 {
            work(units);
            libc::_exit(0);
        }
        child
    };
    let children: Vec<_> = (0..count).map(start).collect();
    for child in children {
        let mut status = 1;
        // SAFETY: the process is a child of ours that nobody has waited for.
        let ended = unsafe { libc::waitpid(child, ptr::from_mut(&mut status), 0) };
        assert_eq!((ended, status), (child, 0));
    }
}
