#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use iface::{Device, Snapshot};

use super::{MEMORY_OFFSET, VgaText};
use crate::testing::{FakeClock, inb, storm};

const CRTC: u64 = 0x14;

fn print(vga: &mut VgaText, line: u64, text: &str) {
    for (column, byte) in (0..).zip(text.bytes()) {
        vga.write(MEMORY_OFFSET + 2 * (80 * line + column), &[byte, 0x1f]);
    }
}

fn crtc(vga: &mut VgaText, index: u8, value: u8) {
    vga.write(CRTC, &[index, value]);
}

#[test]
fn the_screen_reads_as_text() {
    let mut vga = VgaText::new();
    assert_eq!(vga.text(), "\n".repeat(25));
    print(&mut vga, 0, "hello");
    print(&mut vga, 24, "\u{1}\0 x ");
    let text = vga.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        (lines[0], lines[23], lines[24], lines.len()),
        ("hello", "", "?  x", 25)
    );
    assert_eq!(vga.cells().next().map(|cell| cell.attribute), Some(0x1f));
    assert_eq!(vga.cells().count(), 2000);
}

#[test]
fn the_memory_is_memory() {
    let mut vga = VgaText::new();
    vga.write(MEMORY_OFFSET + 0x7ffc, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut data = [0; 8];
    vga.read(MEMORY_OFFSET + 0x7ffc, &mut data);
    assert_eq!(data, [1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn the_start_address_scrolls_and_the_cursor_moves() {
    let mut vga = VgaText::new();
    print(&mut vga, 3, "third");
    crtc(&mut vga, 0x0d, 240);
    assert!(vga.text().starts_with("third\n"));
    assert_eq!(vga.cursor(), None, "before the screen");
    crtc(&mut vga, 0x0e, 0x01);
    crtc(&mut vga, 0x0f, 0x45);
    assert_eq!(vga.cursor(), Some((1, 5)));
    crtc(&mut vga, 0x0a, 0x20);
    assert_eq!(vga.cursor(), None, "off");
    crtc(&mut vga, 0x0a, 0x00);
    crtc(&mut vga, 0x0e, 0xff);
    assert_eq!(vga.cursor(), None, "beyond the screen");
    crtc(&mut vga, 0x0c, 0xff);
    assert_eq!(vga.cells().count(), 2000, "the memory wraps");
}

#[test]
fn registers_keep_their_values() {
    let mut vga = VgaText::new();
    for (index_port, index, value) in [(0x14, 0x0f, 0x12), (0x04, 2, 0x0f), (0x0e, 5, 0x40)] {
        vga.write(index_port, &[index]);
        vga.write(index_port + 1, &[value]);
        assert_eq!(
            (inb(&mut vga, index_port), inb(&mut vga, index_port + 1)),
            (index, value)
        );
    }
    vga.write(0x14, &[0xff, 0x55]);
    assert_eq!(inb(&mut vga, 0x15), 0, "no such register");
    inb(&mut vga, 0x1a);
    vga.write(0x00, &[0x30]);
    vga.write(0x00, &[0x0c]);
    assert_eq!((inb(&mut vga, 0x00), inb(&mut vga, 0x01)), (0x30, 0x0c));
    vga.write(0x02, &[0xe3]);
    assert_eq!(inb(&mut vga, 0x0c), 0xe3);
    vga.write(0x08, &[0xff]);
    for value in [1, 2, 3, 4] {
        vga.write(0x09, &[value]);
    }
    vga.write(0x07, &[0xff]);
    assert_eq!([0; 4].map(|_: i32| inb(&mut vga, 0x09)), [1, 2, 3, 4]);
}

#[test]
fn nobody_waits_for_a_retrace_in_vain() {
    let mut vga = VgaText::new();
    let seen = [inb(&mut vga, 0x1a) & 8, inb(&mut vga, 0x1a) & 8];
    assert!(seen.contains(&0) && seen.contains(&8));
}

#[test]
fn a_snapshot_goes_on() {
    let mut vga = VgaText::new();
    print(&mut vga, 7, "saved");
    let state = vga.save();
    let mut other = VgaText::new();
    other.restore(state.clone()).unwrap();
    assert_eq!(other.text(), vga.text());
    let mut wrong = state;
    wrong.memory.pop();
    assert!(other.restore(wrong).is_err());
    vga.reset();
    assert_eq!(vga.text().trim(), "");
}

#[test]
fn stands_a_storm() {
    let mut vga = VgaText::new();
    storm(
        &mut vga,
        &FakeClock::new(),
        MEMORY_OFFSET + 0x8000,
        |_, _| {},
    );
    storm(&mut vga, &FakeClock::new(), 0x20, |vga, _| {
        assert_eq!(vga.cells().count(), 2000)
    });
}
