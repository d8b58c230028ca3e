#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::{Arc, Mutex};

use iface::Char;

use super::{Console, SIZE};
use crate::VirtioDevice;
use crate::testing::{BUFFERS, Guest};

/// A stream that takes three bytes at a time when it is told that there is room.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Stream>>);

/// What waits for the guest, what came from it, and how much room there is for more.
type Stream = (Vec<u8>, Vec<u8>, usize);

impl Char for Slow {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let mut state = self.0.lock().unwrap();
        let count = to.len().min(state.0.len());
        for (to, from) in to.iter_mut().zip(state.0.drain(..count)) {
            *to = from;
        }
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let mut state = self.0.lock().unwrap();
        let count = from.len().min(state.2);
        state.2 -= count;
        state.1.extend(&from[..count]);
        count
    }
}

#[test]
fn bytes_go_both_ways_at_the_slower_sides_pace() {
    let slow = Slow::default();
    let console = Console::new(Box::new(slow.clone()));
    let terminal = console.terminal();
    let mut guest = Guest::new(console, SIZE);
    guest.put(BUFFERS, b"hello, host");
    guest.offer(1, &[(BUFFERS, 5, false), (BUFFERS + 5, 6, false)]);
    for _ in 0..4 {
        slow.0.lock().unwrap().2 = 3;
        terminal.poll();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(guest.used(1), 0);
    assert_eq!(slow.0.lock().unwrap().1, b"hello, host");
    guest.offer(0, &[(BUFFERS, 4, true)]);
    guest.offer(0, &[(BUFFERS + 4, 100, true)]);
    slow.0.lock().unwrap().0.extend(b"hello, guest");
    terminal.poll();
    assert_eq!([guest.used(0), guest.used(0)], [4, 8]);
    assert_eq!(guest.get(BUFFERS, 12), b"hello, guest");
}

#[test]
fn a_pause_amid_a_chain_repeats_nothing() {
    let slow = Slow::default();
    let console = Console::new(Box::new(slow.clone()));
    let terminal = console.terminal();
    let mut guest = Guest::new(console, SIZE);
    guest.put(BUFFERS, b"hello, host");
    slow.0.lock().unwrap().2 = 3;
    guest.offer(1, &[(BUFFERS, 11, false)]);
    while slow.0.lock().unwrap().1.len() < 3 {
        std::thread::yield_now();
    }
    guest.function.transport.pause();
    assert_eq!(guest.function.device().save(), 3);
    guest.function.transport.resume();
    slow.0.lock().unwrap().2 = 100;
    terminal.poll();
    assert_eq!(guest.used(1), 0);
    assert_eq!(slow.0.lock().unwrap().1, b"hello, host");
    guest.write(20, 1, 0);
    assert_eq!(guest.function.device().save(), 0);
}

#[test]
fn a_new_size_is_told() {
    let console = Console::new(Box::new(Slow::default()));
    let terminal = console.terminal();
    let mut guest = Guest::new(console, SIZE);
    assert_eq!(guest.read(0x2000, 4), 80 | 25 << 16);
    let generation = guest.read(21, 1);
    terminal.resize(132, 50);
    assert_eq!(guest.read(0x2000, 4), 132 | 50 << 16);
    assert_ne!(guest.read(21, 1), generation);
    assert_eq!(
        guest.read(0x1000, 1),
        2,
        "the ISR says that the configuration changed"
    );
}
