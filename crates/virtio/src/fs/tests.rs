#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use iface::{FileServer, Served};
use mem::{GuestRam, Pieces};

use super::Fs;
use crate::testing::{BUFFERS, Guest};

/// A server that upcases, and lets wait what begins with `?` until it was asked so often.
#[derive(Default)]
struct Fake {
    patience: AtomicU32,
    forgotten: AtomicU32,
}

impl FileServer for Fake {
    fn serve(&self, ram: &GuestRam, mut request: Pieces, mut answer: Pieces) -> Served {
        let mut bytes = [0; 16];
        let len = request.read(ram, &mut bytes);
        let waits = bytes[0] == b'?' && self.patience.load(Ordering::SeqCst) > 0;
        if waits {
            self.patience.fetch_sub(1, Ordering::SeqCst);
            return Served::Waits;
        }
        let bytes = bytes[..len].to_ascii_uppercase();
        Served::Done(answer.write(ram, &bytes).try_into().unwrap())
    }

    fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }
}

fn guest() -> (Guest<Fs>, Arc<Fake>) {
    let server = Arc::new(Fake::default());
    let device = Fs::new(server.clone(), "/data", 2).unwrap();
    let guest = Guest::new(device, 0);
    guest.put(BUFFERS, b"now!?lat");
    (guest, server)
}

#[test]
fn requests_are_answered_on_every_queue() {
    let (mut guest, server) = guest();
    assert_eq!(guest.read(0x2000, 8), u64::from_le_bytes(*b"/data\0\0\0"));
    assert_eq!(guest.read(0x2024, 4), 2);
    for queue in 0..3 {
        let buffers = [(BUFFERS, 4, false), (BUFFERS + 64, 8, true)];
        assert_eq!(guest.request(queue, &buffers), 4);
        assert_eq!(guest.get(BUFFERS + 64, 4), b"NOW!");
    }
    guest.write(20, 1, 0);
    assert_eq!(server.forgotten.load(Ordering::SeqCst), 1);
}

#[test]
fn who_waits_holds_nobody_up() {
    let (mut guest, server) = guest();
    server.patience.store(20, Ordering::SeqCst);
    guest.offer(1, &[(BUFFERS + 4, 4, false), (BUFFERS + 64, 4, true)]);
    // The other's answer comes first, and the one who waits gets his without being asked for.
    guest.offer(1, &[(BUFFERS, 4, false), (BUFFERS + 128, 3, true)]);
    assert_eq!([guest.used(1), guest.used(1)], [3, 4]);
    assert_eq!(guest.get(BUFFERS + 64, 4), b"?LAT");
    assert_eq!(server.patience.load(Ordering::SeqCst), 0);
}

#[test]
fn who_waits_outlasts_a_pause_and_goes_with_a_reset() {
    let (mut guest, server) = guest();
    server.patience.store(u32::MAX, Ordering::SeqCst);
    guest.offer(1, &[(BUFFERS + 4, 4, false), (BUFFERS + 64, 4, true)]);
    guest.offer(1, &[(BUFFERS, 4, false), (BUFFERS + 128, 3, true)]);
    assert_eq!(guest.used(1), 3);
    let function = Arc::new(std::sync::Mutex::new(guest.function));
    let keeper = crate::pci::Keeper(function.clone());
    iface::Lifecycle::pause(&keeper);
    iface::Lifecycle::resume(&keeper);
    server.patience.store(0, Ordering::SeqCst);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while guest.rings[1].used(&guest.ram) != Some(4) {
        assert!(std::time::Instant::now() < deadline, "it is forgotten");
    }
    server.patience.store(u32::MAX, Ordering::SeqCst);
    guest.rings[1].offer(
        &guest.ram,
        &[(BUFFERS + 4, 4, false), (BUFFERS + 64, 4, true)],
    );
    device::pci::Function::reset(&mut *device::lock(&function));
    server.patience.store(0, Ordering::SeqCst);
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(guest.rings[1].used(&guest.ram), None);
}
