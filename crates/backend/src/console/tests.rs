use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};

use super::*;

const SOON: Duration = Duration::from_secs(10);

struct Rig {
    device: ConsoleChar,
    console: Console,
    keyboard: UnixStream,
    screen: UnixStream,
    events: Receiver<Event>,
}

fn rig(escape: Option<u8>) -> Rig {
    let (console, device) = Console::new();
    let (keyboard, input) = UnixStream::pair().unwrap();
    let (screen, output) = UnixStream::pair().unwrap();
    let (sender, events) = mpsc::channel();
    let tell = move |event| drop(sender.send(event));
    console.connect(input, output, escape, tell).unwrap();
    Rig {
        device,
        console,
        keyboard,
        screen,
        events,
    }
}

impl Rig {
    /// Takes `count` bytes on the device's side.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let mut bytes = [0; 16];
            match self.device.read(&mut bytes) {
                0 => assert!(matches!(self.events.recv_timeout(SOON), Ok(Event::Ready))),
                some => taken.extend_from_slice(&bytes[..some]),
            }
        }
        taken
    }
}

#[test]
fn bytes_go_both_ways() {
    let mut rig = rig(None);
    rig.keyboard.write_all(b"ls\x1d").unwrap();
    assert_eq!(rig.take(3), b"ls\x1d");
    assert_eq!(rig.device.write(b"file"), 4);
    let mut shown = [0; 4];
    rig.screen.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"file");
}

#[test]
fn more_input_than_fits_waits_and_is_not_lost() {
    let mut rig = rig(None);
    let sent: Vec<u8> = (0..40_000_u32).map(|n| n as u8).collect();
    let copy = sent.clone();
    let mut keyboard = rig.keyboard.try_clone().unwrap();
    let writer = thread::spawn(move || keyboard.write_all(&copy).unwrap());
    assert!(rig.take(40_000) == sent);
    writer.join().unwrap();
}

#[test]
fn output_that_nobody_reads_is_refused_and_continues_later() {
    let mut rig = rig(None);
    let mut written = 0;
    while written < 64 << 20 {
        let count = rig.device.write(&[b'x'; 1024]);
        written += count;
        if count < 1024 {
            break;
        }
    }
    assert!(written < 64 << 20, "the host's buffers are finite");
    let mut left = written;
    let mut buffer = [0; 4096];
    let mut screen = rig.screen.try_clone().unwrap();
    while left > 0 {
        left -= screen.read(&mut buffer).unwrap();
    }
    assert!(matches!(rig.events.recv_timeout(SOON), Ok(Event::Ready)));
    assert_eq!(rig.device.write(b"more"), 4);
    rig.console.flush(SOON);
    assert_eq!(screen.read(&mut buffer).unwrap(), 4);
}

#[test]
fn the_escape_key_is_told_and_not_passed_on() {
    let mut rig = rig(Some(0x1d));
    rig.keyboard.write_all(b"a\x1db").unwrap();
    assert_eq!(rig.take(1), b"a");
    let escape = rig
        .events
        .iter()
        .any(|event| matches!(event, Event::Escape));
    assert!(escape);
}

#[test]
fn a_closed_output_is_told_once_and_swallows_the_rest() {
    let mut rig = rig(None);
    drop(rig.screen);
    assert_eq!(rig.device.write(b"lost"), 4);
    let closed = rig
        .events
        .iter()
        .any(|event| matches!(event, Event::Closed(_)));
    assert!(closed);
    assert_eq!(rig.device.write(&vec![0; 1 << 20]), 1 << 20);
    rig.console.flush(SOON);
}

#[test]
fn the_end_of_input_leaves_output_alone() {
    let mut rig = rig(None);
    drop(rig.keyboard);
    assert_eq!(rig.device.write(b"still"), 5);
    let mut shown = [0; 5];
    rig.screen.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"still");
}
