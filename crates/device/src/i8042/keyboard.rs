//! The PS/2 keyboard (an AT keyboard: scan code sets 1 and 2).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::scancode::{EXTENDED, Key, RELEASE, RELEASED};

/// Scan codes that wait to be read; what does not fit is lost.
const QUEUE: usize = 16;
/// Most bytes that answers add to the queue.
const ANSWERS: usize = 8;

const ACK: u8 = 0xfa;
const RESEND: u8 = 0xfe;
const SELF_TEST_PASSED: u8 = 0xaa;
const ECHO: u8 = 0xee;
const ID: [u8; 2] = [0xab, 0x83];

/// Commands that are followed by a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    Command,
    Leds,
    Set,
    Typematic,
    Key,
}

/// The keyboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keyboard {
    queue: VecDeque<u8>,
    expect: Expect,
    /// It reports keys.
    scans: bool,
    /// Scan code set, 1 or 2.
    set: u8,
    leds: u8,
    typematic: u8,
    /// The last byte that it sent, for the resend command.
    last: u8,
}

impl Keyboard {
    /// A keyboard that reports keys, as firmware leaves it.
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            expect: Expect::Command,
            scans: true,
            set: 2,
            leds: 0,
            typematic: 0x2b,
            last: 0,
        }
    }

    pub(super) fn fits(&self) -> bool {
        self.queue.len() <= QUEUE + ANSWERS && (1..=2).contains(&self.set)
    }

    /// The next byte that it sends.
    pub(super) fn pop(&mut self) -> Option<u8> {
        let byte = self.queue.pop_front()?;
        self.last = byte;
        Some(byte)
    }

    /// A key is pressed or released.
    pub(super) fn key(&mut self, key: Key, pressed: bool) {
        let Some(code) = key.set_2() else {
            return;
        };
        let (release, code) = match (self.set, pressed) {
            (1, true) => (None, key.code),
            (1, false) => (None, key.code | RELEASED),
            (_, true) => (None, code),
            (_, false) => (Some(RELEASE), code),
        };
        let prefix = key.extended.then_some(EXTENDED);
        let bytes = [prefix, release, Some(code)];
        let length = bytes.iter().flatten().count();
        if self.scans && self.queue.len() + length <= QUEUE {
            self.queue.extend(bytes.into_iter().flatten());
        }
    }

    fn answer(&mut self, bytes: &[u8]) {
        if self.queue.len() + bytes.len() <= QUEUE + ANSWERS {
            self.queue.extend(bytes);
        }
    }

    fn set_defaults(&mut self) {
        self.set = 2;
        self.typematic = 0x2b;
        self.queue.clear();
    }

    /// The host sends a byte.
    pub(super) fn command(&mut self, value: u8) {
        match std::mem::replace(&mut self.expect, Expect::Command) {
            // A command, even where its predecessor's parameter is due.
            _ if value >= 0xed => self.start(value),
            Expect::Command => self.answer(&[RESEND]),
            Expect::Leds => {
                self.leds = value & 7;
                self.answer(&[ACK]);
            }
            Expect::Set => match value {
                0 => self.answer(&[ACK, self.set]),
                1 | 2 => {
                    self.set = value;
                    self.answer(&[ACK]);
                }
                _ => self.answer(&[RESEND]),
            },
            Expect::Typematic => {
                self.typematic = value;
                self.answer(&[ACK]);
            }
            // Keys of set 3 that are to behave otherwise: there is no set 3.
            Expect::Key => self.answer(&[ACK]),
        }
    }

    fn start(&mut self, command: u8) {
        match command {
            0xed => self.expect = Expect::Leds,
            0xee => return self.answer(&[ECHO]),
            0xf0 => self.expect = Expect::Set,
            0xf2 => {
                let [first, second] = ID;
                return self.answer(&[ACK, first, second]);
            }
            0xf3 => self.expect = Expect::Typematic,
            0xf4 => {
                self.queue.clear();
                self.scans = true;
            }
            0xf5 => {
                self.set_defaults();
                self.scans = false;
            }
            0xf6 => self.set_defaults(),
            // All keys of set 3.
            0xf7..=0xfa => {}
            0xfb..=0xfd => self.expect = Expect::Key,
            0xfe => return self.answer(&[self.last]),
            0xff => {
                self.set_defaults();
                self.scans = true;
                self.leds = 0;
                return self.answer(&[ACK, SELF_TEST_PASSED]);
            }
            _ => return self.answer(&[RESEND]),
        }
        self.answer(&[ACK]);
    }
}
