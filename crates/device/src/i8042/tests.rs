#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::Arc;

use iface::{Action, Device, Snapshot};

use super::{I8042, Key, Motion};
use crate::testing::{FakeClock, FakeLine, inb, storm};

const DATA: u64 = 0;
const COMMAND: u64 = 1;

const A: Key = Key {
    code: 0x1e,
    extended: false,
};
const F7: Key = Key {
    code: 0x41,
    extended: false,
};
const RIGHT: Key = Key {
    code: 0x4d,
    extended: true,
};

struct Rig {
    i8042: I8042,
    keyboard: Arc<FakeLine>,
    mouse: Arc<FakeLine>,
}

impl Rig {
    fn new() -> Self {
        let (keyboard, mouse) = (FakeLine::new(), FakeLine::new());
        Self {
            i8042: I8042::new(keyboard.clone(), mouse.clone()),
            keyboard,
            mouse,
        }
    }

    /// With the mouse on, interrupts on and no translation, as an operating system sets it up.
    fn raw() -> Self {
        let mut rig = Self::new();
        rig.command(0x60);
        rig.data(0x07);
        rig
    }

    fn command(&mut self, value: u8) -> Action {
        self.i8042.write(COMMAND, &[value])
    }

    fn data(&mut self, value: u8) -> Action {
        self.i8042.write(DATA, &[value])
    }

    fn aux(&mut self, value: u8) {
        self.command(0xd4);
        self.data(value);
    }

    fn status(&mut self) -> u8 {
        inb(&mut self.i8042, COMMAND)
    }

    /// Everything that can be read.
    fn drain(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.status() & 1 != 0 {
            bytes.push(inb(&mut self.i8042, DATA));
        }
        bytes
    }

    fn ask(&mut self, command: u8) -> Vec<u8> {
        self.command(command);
        self.drain()
    }
}

#[test]
fn as_firmware_leaves_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.status(), 0x14);
    assert_eq!(rig.ask(0x20), [0x65]);
    assert_eq!(rig.ask(0xd0), [0xc3]);
    assert_eq!(rig.ask(0xc0), [0xb0]);
    assert_eq!(rig.status() & 0x08, 0x08, "a command was last");
}

#[test]
fn self_tests_pass() {
    let mut rig = Rig::new();
    assert_eq!(rig.ask(0xaa), [0x55]);
    assert_eq!(rig.ask(0xa9), [0x00]);
    assert_eq!(rig.ask(0xab), [0x00]);
    assert_eq!(rig.ask(0xa4), [0xf1]);
}

#[test]
fn the_aux_port_is_probed_as_linux_does() {
    let mut rig = Rig::new();
    rig.command(0xd3);
    rig.data(0x5a);
    assert_eq!(rig.status() & 0x21, 0x21);
    assert_eq!(rig.drain(), [0x5a]);
    rig.command(0xd3);
    rig.data(0xa4);
    assert_eq!(rig.drain(), [0xa4], "no multiplexing");
    rig.command(0xa7);
    assert_eq!(rig.ask(0x20), [0x65]);
    rig.command(0xa8);
    assert_eq!(rig.ask(0x20), [0x45]);
    rig.command(0x60);
    rig.data(0x47);
    rig.command(0xd3);
    rig.data(0xa5);
    assert!(rig.mouse.level() && !rig.keyboard.level());
    assert_eq!(rig.drain(), [0xa5]);
    assert!(!rig.mouse.level());
}

#[test]
fn resets() {
    let mut rig = Rig::new();
    assert_eq!(rig.command(0xfe), Action::Reset);
    assert_eq!(rig.command(0xff), Action::None, "pulses nothing");
    assert_eq!(rig.command(0xd1), Action::None);
    assert_eq!(rig.data(0xdd), Action::None);
    assert_eq!(rig.ask(0xd0), [0xcd]);
    rig.command(0xdf);
    assert_eq!(rig.ask(0xd0), [0xcf]);
    rig.command(0xd1);
    assert_eq!(rig.data(0xde), Action::Reset);
}

#[test]
fn keys_are_translated_and_interrupt() {
    let mut rig = Rig::new();
    rig.i8042.key(A, true);
    assert!(rig.keyboard.level());
    assert_eq!(rig.status() & 0x21, 0x01);
    assert_eq!(inb(&mut rig.i8042, DATA), 0x1e);
    assert!(!rig.keyboard.level());
    assert_eq!(
        inb(&mut rig.i8042, DATA),
        0x1e,
        "an empty buffer shows its last byte"
    );
    rig.i8042.key(A, false);
    rig.i8042.key(RIGHT, true);
    rig.i8042.key(RIGHT, false);
    rig.i8042.key(F7, true);
    let before = rig.keyboard.rises();
    assert_eq!(rig.drain(), [0x9e, 0xe0, 0x4d, 0xe0, 0xcd, 0x41]);
    assert_eq!(rig.keyboard.rises() - before, 5, "each byte is an edge");
}

#[test]
fn keys_in_set_2_and_set_1_without_translation() {
    let mut rig = Rig::raw();
    for key in [A, RIGHT, F7] {
        rig.i8042.key(key, true);
        rig.i8042.key(key, false);
    }
    let set_2 = [
        0x1c, 0xf0, 0x1c, 0xe0, 0x74, 0xe0, 0xf0, 0x74, 0x83, 0xf0, 0x83,
    ];
    assert_eq!(rig.drain(), set_2);
    rig.data(0xf0);
    rig.data(0x01);
    rig.i8042.key(RIGHT, true);
    rig.i8042.key(RIGHT, false);
    assert_eq!(rig.drain(), [0xfa, 0xfa, 0xe0, 0x4d, 0xe0, 0xcd]);
    rig.data(0xf0);
    rig.data(0x00);
    assert_eq!(rig.drain(), [0xfa, 0xfa, 0x01]);
    rig.i8042.key(
        Key {
            code: 0,
            extended: false,
        },
        true,
    );
    rig.i8042.key(
        Key {
            code: 0x80,
            extended: false,
        },
        true,
    );
    assert!(rig.drain().is_empty(), "no such keys");
}

#[test]
fn every_key_of_set_1_survives_the_way_through_set_2() {
    for code in (0x01..0x80).filter(|code| ![0x00, 0x7f].contains(code)) {
        let mut rig = Rig::new();
        rig.i8042.key(
            Key {
                code,
                extended: false,
            },
            true,
        );
        assert_eq!(rig.drain(), [code]);
    }
}

#[test]
fn the_keyboard_is_probed_as_linux_does() {
    let mut rig = Rig::raw();
    rig.data(0xf2);
    assert_eq!(rig.drain(), [0xfa, 0xab, 0x83]);
    rig.data(0xed);
    rig.data(0x00);
    rig.data(0xf3);
    rig.data(0x00);
    assert_eq!(rig.drain(), [0xfa; 4]);
    rig.data(0xf5);
    rig.i8042.key(A, true);
    assert_eq!(rig.drain(), [0xfa], "disabled");
    rig.data(0xf4);
    rig.i8042.key(A, true);
    assert_eq!(rig.drain(), [0xfa, 0x1c]);
    rig.data(0xff);
    assert_eq!(rig.drain(), [0xfa, 0xaa]);
    rig.data(0xee);
    assert_eq!(rig.drain(), [0xee]);
    rig.data(0xfe);
    assert_eq!(rig.drain(), [0xee], "again");
    rig.data(0xef);
    rig.data(0x12);
    assert_eq!(rig.drain(), [0xfe, 0xfe], "unknown");
}

#[test]
fn disabling_the_keyboard_holds_its_bytes_back() {
    let mut rig = Rig::new();
    rig.command(0xad);
    rig.i8042.key(A, true);
    assert!(rig.drain().is_empty() && !rig.keyboard.level());
    rig.command(0xae);
    assert_eq!(rig.drain(), [0x1e]);
    rig.command(0xad);
    rig.data(0xee);
    assert_eq!(rig.drain(), [0xee], "a byte to the keyboard enables it");
}

#[test]
fn a_full_keyboard_loses_keys_but_not_halves_of_them() {
    let mut rig = Rig::raw();
    for _ in 0..9 {
        rig.i8042.key(RIGHT, true);
    }
    rig.i8042.key(A, true);
    let bytes = rig.drain();
    assert_eq!(bytes.len() % 2, 1);
    assert!(bytes[..16].chunks(2).all(|pair| pair == [0xe0, 0x74]));
}

#[test]
fn data_by_command() {
    let mut rig = Rig::new();
    rig.command(0xd2);
    rig.data(0x42);
    assert!(rig.keyboard.level());
    assert_eq!(rig.drain(), [0x42]);
    rig.command(0x75);
    rig.data(0x99);
    assert_eq!(rig.ask(0x35), [0x99], "the rest of the RAM");
}

#[test]
fn the_mouse_is_probed_as_linux_does() {
    let mut rig = Rig::raw();
    rig.aux(0xff);
    assert!(rig.mouse.level() && !rig.keyboard.level());
    assert_eq!(rig.status() & 0x21, 0x21);
    assert_eq!(rig.drain(), [0xfa, 0xaa, 0x00]);
    rig.aux(0xf2);
    assert_eq!(rig.drain(), [0xfa, 0x00]);
    for (knock, id) in [([200, 100, 80], 3), ([200, 200, 80], 4)] {
        for rate in knock {
            rig.aux(0xf3);
            rig.aux(rate);
        }
        rig.drain();
        rig.aux(0xf2);
        assert_eq!(rig.drain(), [0xfa, id]);
    }
    rig.aux(0xe8);
    rig.aux(0x03);
    rig.aux(0xe7);
    rig.aux(0xf4);
    rig.drain();
    rig.aux(0xe9);
    assert_eq!(rig.drain().split_off(1), [0x30, 3, 80]);
    rig.aux(0xe1);
    assert_eq!(rig.drain(), [0xfc], "unknown");
}

#[test]
fn the_mouse_reports_movements() {
    let mut rig = Rig::raw();
    rig.i8042.mouse(Motion {
        dx: 9,
        ..Motion::default()
    });
    assert!(rig.drain().is_empty(), "not enabled");
    rig.aux(0xf4);
    assert_eq!(rig.drain(), [0xfa]);
    rig.i8042.mouse(Motion {
        dx: 1,
        dy: -2,
        wheel: 5,
        buttons: 0x01,
    });
    assert!(rig.mouse.level());
    assert_eq!(rig.drain(), [0x29, 0x01, 0xfe]);
    rig.i8042.mouse(Motion {
        dx: 300,
        ..Motion::default()
    });
    assert_eq!(rig.drain(), [0x08, 0xff, 0x00, 0x08, 0x2d, 0x00]);
    for rate in [200, 200, 80] {
        rig.aux(0xf3);
        rig.aux(rate);
    }
    rig.drain();
    rig.i8042.mouse(Motion {
        wheel: -1,
        buttons: 0x18,
        ..Motion::default()
    });
    assert_eq!(rig.drain(), [0x08, 0x00, 0x00, 0x3f]);
    rig.aux(0xf0);
    rig.drain();
    rig.i8042.mouse(Motion {
        dx: 7,
        ..Motion::default()
    });
    assert!(rig.drain().is_empty(), "remote mode reports on demand");
    rig.aux(0xeb);
    assert_eq!(rig.drain(), [0xfa, 0x08, 0x07, 0x00, 0x00]);
    rig.aux(0xee);
    rig.aux(0xf4);
    assert_eq!(rig.drain(), [0xfa, 0xf4], "wrap mode echoes");
}

#[test]
fn a_snapshot_goes_on() {
    let mut rig = Rig::new();
    rig.i8042.key(A, true);
    rig.i8042.key(RIGHT, true);
    rig.command(0xd4);
    let state = rig.i8042.save();
    let mut other = Rig::new();
    other.i8042.restore(state.clone()).unwrap();
    assert_eq!(other.i8042.save(), state);
    other.data(0xf2);
    assert_eq!(other.drain(), [0x1e, 0xe0, 0x4d, 0xfa, 0x00]);
    let mut wrong = state;
    wrong.answers.extend([(0, super::Source::Aux); 2]);
    assert!(other.i8042.restore(wrong).is_err());
}

#[test]
fn stands_a_storm() {
    let mut rig = Rig::new();
    storm(&mut rig.i8042, &FakeClock::new(), 3, |i8042, random| {
        let bits = random.u64(..).to_le_bytes();
        i8042.key(
            Key {
                code: bits[0],
                extended: bits[1] & 1 != 0,
            },
            bits[1] & 2 != 0,
        );
        let [dx, dy, wheel] = [bits[2], bits[3], bits[4]].map(|d| i32::from(d) << (bits[5] % 24));
        i8042.mouse(Motion {
            dx,
            dy: -dy,
            wheel,
            buttons: bits[6],
        });
    });
}
