//! Calls and returns.

use std::hint::black_box;

use crate::Task;

fn fib(n: u64) -> u64 {
    if black_box(n) < 2 {
        n
    } else {
        fib(n - 1) + fib(n - 2)
    }
}

/// The twentieth Fibonacci number by recursion.
pub(crate) fn recursion(n: u64) {
    for _ in 0..n {
        assert_eq!(black_box(fib(20)), 6765);
    }
}

/// A step of a computation, chosen by a number.
type Step = fn(u64) -> u64;

const STEPS: [Step; 8] = [
    |x| x.wrapping_add(0x9e37_79b9),
    |x| x ^ (x >> 3),
    |x| x.rotate_left(7),
    |x| x.wrapping_mul(5),
    |x| x.wrapping_sub(77),
    |x| !x,
    |x| x.swap_bytes(),
    |x| x ^ 0x5555_5555,
];

/// Calls through a table of eight functions, in an order that repeats after 4,096 calls.
pub(crate) fn indirect() -> Task {
    let mut x = 1_u64;
    let order: Vec<Step> = (0..4096)
        .map(|_| {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            STEPS[(x >> 61) as usize]
        })
        .collect();
    Task::Timed(Box::new(move |n| {
        let mut x = 1;
        for i in 0..n {
            x = order[i as usize & 4095](x);
        }
        black_box(x);
    }))
}

/// What objects do.
trait Object {
    fn step(&self, x: u64) -> u64;
}

struct Adds(u64);

struct Multiplies(u64);

impl Object for Adds {
    fn step(&self, x: u64) -> u64 {
        x.wrapping_add(self.0)
    }
}

impl Object for Multiplies {
    fn step(&self, x: u64) -> u64 {
        x.wrapping_mul(self.0)
    }
}

/// Calls of a method of 64 objects, which are all of one type though nobody knows.
pub(crate) fn method() -> Task {
    let object = |i| -> Box<dyn Object> {
        match black_box(i) {
            64.. => Box::new(Multiplies(i)),
            _ => Box::new(Adds(i)),
        }
    };
    let objects: Vec<_> = (0..64).map(object).collect();
    Task::Timed(Box::new(move |n| {
        let mut x = 1;
        for i in 0..n {
            x = objects[i as usize & 63].step(x);
        }
        black_box(x);
    }))
}

/// Calls through a table, as of shared libraries, all of whose eight entries are one function.
pub(crate) fn table() -> Task {
    let table = black_box([STEPS[0]; 8]);
    Task::Timed(Box::new(move |n| {
        let mut x = 1;
        for i in 0..n {
            x = table[i as usize & 7](x);
        }
        black_box(x);
    }))
}
