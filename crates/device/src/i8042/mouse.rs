//! The PS/2 mouse, with the wheel and the five buttons that it shows to those who ask in the known way.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Bytes that wait to be read.
const QUEUE: usize = 16;

const ACK: u8 = 0xfa;
const ERROR: u8 = 0xfc;
const SELF_TEST_PASSED: u8 = 0xaa;

/// IDs: a plain mouse, one with a wheel, one with five buttons as well.
const PLAIN: u8 = 0;
const WHEEL: u8 = 3;
const FIVE_BUTTONS: u8 = 4;

/// Sample rates that are set one after the other to ask for an ID.
const WHEEL_KNOCK: [u8; 3] = [200, 100, 80];
const FIVE_BUTTONS_KNOCK: [u8; 3] = [200, 200, 80];

/// Farthest that a packet tells.
const REACH: i32 = 255;
/// Farthest that is remembered.
const FARTHEST: i32 = 1 << 16;

/// A movement, since the last one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Motion {
    /// To the right.
    pub dx: i32,
    /// Up.
    pub dy: i32,
    /// Turns of the wheel towards the user.
    pub wheel: i32,
    /// Buttons that are down now: left, right, middle, fourth, fifth from bit 0 on.
    pub buttons: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    Command,
    Rate,
    Resolution,
}

/// The mouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mouse {
    queue: VecDeque<u8>,
    expect: Expect,
    id: u8,
    /// Stream mode's reports are on.
    reports: bool,
    remote: bool,
    /// Echoes what it gets.
    wraps: bool,
    double_scale: bool,
    resolution: u8,
    rate: u8,
    /// The last three rates.
    rates: [u8; 3],
    dx: i32,
    dy: i32,
    wheel: i32,
    buttons: u8,
    /// There is something to report.
    moved: bool,
}

impl Mouse {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            expect: Expect::Command,
            id: PLAIN,
            reports: false,
            remote: false,
            wraps: false,
            double_scale: false,
            resolution: 2,
            rate: 100,
            rates: [0; 3],
            dx: 0,
            dy: 0,
            wheel: 0,
            buttons: 0,
            moved: false,
        }
    }

    pub(super) fn fits(&self) -> bool {
        let reach = -FARTHEST..=FARTHEST;
        self.queue.len() <= QUEUE
            && [self.dx, self.dy, self.wheel]
                .iter()
                .all(|d| reach.contains(d))
    }

    /// The next byte that it sends.
    pub(super) fn pop(&mut self) -> Option<u8> {
        if self.queue.is_empty() && self.moved && self.reports && !self.remote {
            self.report();
        }
        self.queue.pop_front()
    }

    pub(super) fn moved(&mut self, motion: Motion) {
        let add = |sum: i32, more: i32| sum.saturating_add(more).clamp(-FARTHEST, FARTHEST);
        self.dx = add(self.dx, motion.dx);
        self.dy = add(self.dy, motion.dy);
        self.wheel = add(self.wheel, motion.wheel);
        self.buttons = motion.buttons & 0x1f;
        self.moved = true;
    }

    /// Queues a packet with as much of the movement as it can tell.
    fn report(&mut self) {
        let dx = self.dx.clamp(-REACH, REACH);
        let dy = self.dy.clamp(-REACH, REACH);
        let wheel = if self.id == PLAIN {
            self.wheel
        } else {
            self.wheel.clamp(-8, 7)
        };
        self.dx -= dx;
        self.dy -= dy;
        self.wheel -= wheel;
        self.moved = (self.dx, self.dy, self.wheel) != (0, 0, 0);
        let low = |value: i32| {
            let [low, ..] = value.to_le_bytes();
            low
        };
        let signs = u8::from(dx < 0) << 4 | u8::from(dy < 0) << 5;
        let first = 1 << 3 | self.buttons & 7 | signs;
        self.answer(&[first, low(dx), low(dy)]);
        match self.id {
            WHEEL => self.answer(&[low(wheel)]),
            FIVE_BUTTONS => self.answer(&[low(wheel) & 0x0f | (self.buttons & 0x18) << 1]),
            _ => {}
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        if self.queue.len() + bytes.len() <= QUEUE {
            self.queue.extend(bytes);
        }
    }

    fn set_defaults(&mut self) {
        let kept = (self.id, self.rates, self.buttons);
        *self = Self::new();
        (self.id, self.rates, self.buttons) = kept;
    }

    /// The host sends a byte.
    pub(super) fn command(&mut self, value: u8) {
        // A command ends the packet that was under way.
        self.queue.clear();
        if self.wraps && value != 0xff && value != 0xec {
            return self.answer(&[value]);
        }
        match std::mem::replace(&mut self.expect, Expect::Command) {
            Expect::Command => self.start(value),
            Expect::Rate => {
                self.rate = value;
                let [_, first, second] = self.rates;
                self.rates = [first, second, value];
                match self.rates {
                    WHEEL_KNOCK => self.id = WHEEL,
                    FIVE_BUTTONS_KNOCK => self.id = FIVE_BUTTONS,
                    _ => {}
                }
                self.answer(&[ACK]);
            }
            Expect::Resolution => {
                self.resolution = value & 3;
                self.answer(&[ACK]);
            }
        }
    }

    fn start(&mut self, command: u8) {
        self.answer(&[ACK]);
        match command {
            0xe6 => self.double_scale = false,
            0xe7 => self.double_scale = true,
            0xe8 => self.expect = Expect::Resolution,
            0xe9 => {
                let status = self.status();
                self.answer(&status);
            }
            0xea => self.remote = false,
            0xeb => self.report(),
            0xec => self.wraps = false,
            0xee => self.wraps = true,
            0xf0 => self.remote = true,
            0xf2 => self.answer(&[self.id]),
            0xf3 => self.expect = Expect::Rate,
            0xf4 => {
                self.reports = true;
                (self.dx, self.dy, self.wheel, self.moved) = (0, 0, 0, false);
            }
            0xf5 => self.reports = false,
            0xf6 => {
                self.set_defaults();
                self.answer(&[ACK]);
            }
            0xff => {
                *self = Self::new();
                self.answer(&[ACK, SELF_TEST_PASSED, self.id]);
            }
            _ => {
                self.queue.clear();
                self.answer(&[ERROR]);
            }
        }
    }

    fn status(&self) -> [u8; 3] {
        let [left, right, middle] = [0, 1, 2].map(|bit| self.buttons >> bit & 1);
        let flags = u8::from(self.remote) << 6
            | u8::from(self.reports) << 5
            | u8::from(self.double_scale) << 4;
        [
            flags | left << 2 | middle << 1 | right,
            self.resolution,
            self.rate,
        ]
    }
}
