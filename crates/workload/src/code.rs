//! An interpreter for a small stack machine: a switch in a loop, as interpreted languages have it.

use std::hint::black_box;

use crate::Task;

/// An instruction.
#[derive(Clone, Copy)]
enum Op {
    Push(i64),
    Load(usize),
    Store(usize),
    Add,
    Mul,
    Rem,
    Less,
    /// Takes a number and jumps unless it is zero.
    JumpIf(usize),
    End,
}

/// `i = 0; do { s = (s * 31 + i) % 65521; i += 1; } while i < 1000`, with `i` in variable 0 and `s` in 1.
const PROGRAM: [Op; 19] = [
    Op::Push(0),
    Op::Store(0),
    Op::Load(1),
    Op::Push(31),
    Op::Mul,
    Op::Load(0),
    Op::Add,
    Op::Push(65521),
    Op::Rem,
    Op::Store(1),
    Op::Load(0),
    Op::Push(1),
    Op::Add,
    Op::Store(0),
    Op::Load(0),
    Op::Push(1000),
    Op::Less,
    Op::JumpIf(2),
    Op::End,
];

/// Runs of the program, each of some 16,000 instructions.
pub(crate) fn interpreter() -> Task {
    let expected = (0..1000).fold(0_i64, |s, i| (s * 31 + i) % 65521);
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            assert_eq!(run(black_box(&PROGRAM)), expected);
        }
    }))
}

fn run(program: &[Op]) -> i64 {
    let mut variables = [0_i64; 4];
    let mut stack: Vec<i64> = Vec::with_capacity(8);
    let mut at = 0;
    let pop = |stack: &mut Vec<i64>| stack.pop().expect("the program balances its stack");
    loop {
        let op = program[at];
        at += 1;
        match op {
            Op::Push(value) => stack.push(value),
            Op::Load(variable) => stack.push(variables[variable]),
            Op::Store(variable) => variables[variable] = pop(&mut stack),
            Op::Add | Op::Mul | Op::Rem | Op::Less => {
                let (right, left) = (pop(&mut stack), pop(&mut stack));
                stack.push(match op {
                    Op::Add => left + right,
                    Op::Mul => left * right,
                    Op::Rem => left % right,
                    _ => i64::from(left < right),
                });
            }
            Op::JumpIf(target) => {
                if pop(&mut stack) != 0 {
                    at = target;
                }
            }
            Op::End => return variables[1],
        }
    }
}
