#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host::Bell;
use iface::{Nic, Offloads};
use mem::{GuestRam, Pieces};

use super::{CTRL_VQ, GUEST_CSUM, GUEST_TSO4, MQ, MRG_RXBUF, Net};
use crate::feature::RING_PACKED;
use crate::testing::{BUFFERS, Guest};

/// A network that gives back what it is sent.
struct Loop {
    frames: Mutex<VecDeque<Vec<u8>>>,
    bell: Bell,
    offloads: Mutex<Offloads>,
}

impl Nic for Loop {
    fn pairs(&self) -> u16 {
        2
    }

    fn offloads(&self) -> Offloads {
        Offloads::CHECKSUM.with(Offloads::TSO4)
    }

    fn set_guest_offloads(&self, offloads: Offloads) {
        *self.offloads.lock().unwrap() = offloads;
    }

    fn mtu(&self) -> Option<u16> {
        Some(9000)
    }

    fn send(&self, _: u16, ram: &GuestRam, mut frame: Pieces) -> io::Result<()> {
        let mut bytes = vec![0; frame.len() as usize];
        frame.read(ram, &mut bytes);
        self.frames.lock().unwrap().push_back(bytes);
        self.bell.ring();
        Ok(())
    }

    fn receive(&self, queue: u16, to: &mut [u8]) -> io::Result<usize> {
        if queue != 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bell.take();
        let mut frames = self.frames.lock().unwrap();
        let frame = frames.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        if !frames.is_empty() {
            self.bell.ring();
        }
        to[..frame.len()].copy_from_slice(&frame);
        Ok(frame.len())
    }

    fn ready(&self, _: u16) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const IN: u64 = BUFFERS + 0x1_0000;

fn rig(features: u64) -> (Guest<Net>, Arc<Loop>) {
    let nic = Arc::new(Loop {
        frames: Mutex::default(),
        bell: Bell::new().unwrap(),
        offloads: Mutex::default(),
    });
    let guest = Guest::new(Net::new(nic.clone(), MAC), features);
    (guest, nic)
}

fn frame(len: u32) -> Vec<u8> {
    (0..len)
        .map(|at| if at < 12 { 0 } else { at as u8 })
        .collect()
}

#[test]
fn a_frame_takes_as_many_buffers_as_it_needs() {
    let (mut guest, _nic) = rig(MRG_RXBUF);
    let sent = frame(1000);
    guest.put(BUFFERS, &sent);
    guest.offer(0, &[(IN, 400, true)]);
    assert_eq!(
        guest.request(1, &[(BUFFERS, 12, false), (BUFFERS + 12, 988, false)]),
        0
    );
    // One buffer is not enough: the frame waits for more.
    guest.offer(0, &[(IN + 400, 400, true)]);
    guest.offer(0, &[(IN + 800, 400, true)]);
    assert_eq!(
        [guest.used(0), guest.used(0), guest.used(0)],
        [400, 400, 200]
    );
    let received = guest.get(IN, 1000);
    assert_eq!(received[12..], sent[12..]);
    assert_eq!(received[10..12], [3, 0]);
}

#[test]
fn the_driver_never_sees_a_part_of_a_frame() {
    // Long pieces take long to copy, so that the driver would find a frame with the first of them alone.
    const PIECE: u32 = 4000;
    for format in [0, RING_PACKED] {
        let (mut guest, _nic) = rig(MRG_RXBUF | format);
        let buffers = IN + 0x1_0000;
        guest.put(BUFFERS, &frame(16 * PIECE));
        for round in 0..1000 {
            for buffer in 0..16 {
                guest.offer(0, &[(buffers + u64::from(PIECE) * buffer, PIECE, true)]);
            }
            guest.offer(1, &[(BUFFERS, 16 * PIECE, false)]);
            let ring = &mut guest.rings[0];
            let deadline = Instant::now() + Duration::from_secs(20);
            while ring.used(&guest.ram).is_none() {
                assert!(Instant::now() < deadline, "the device does not answer");
            }
            for buffer in 1..16 {
                let rest = ring.used(&guest.ram);
                assert_eq!(rest, Some(PIECE), "buffer {buffer} of frame {round}");
            }
            guest.used(1);
        }
    }
}

#[test]
fn without_merging_a_frame_that_does_not_fit_is_lost() {
    let (mut guest, _nic) = rig(0);
    for len in [1000, 300] {
        guest.put(BUFFERS, &frame(len));
        assert_eq!(guest.request(1, &[(BUFFERS, len, false)]), 0);
    }
    guest.offer(0, &[(IN, 400, true)]);
    assert_eq!(guest.used(0), 300);
    assert_eq!(guest.get(IN + 10, 2), [1, 0]);
}

#[test]
fn what_is_no_frame_is_swallowed() {
    let (mut guest, nic) = rig(0);
    assert_eq!(guest.request(1, &[(BUFFERS, 11, false)]), 0);
    assert_eq!(guest.request(1, &[(BUFFERS, 0x2_0000, false)]), 0);
    assert_eq!(guest.request(1, &[(BUFFERS, 100, true)]), 0);
    assert!(nic.frames.lock().unwrap().is_empty());
}

#[test]
fn commands_are_obeyed() {
    let (mut guest, nic) = rig(MQ | CTRL_VQ | GUEST_CSUM | GUEST_TSO4);
    assert_eq!(
        *nic.offloads.lock().unwrap(),
        Offloads::CHECKSUM.with(Offloads::TSO4)
    );
    let command = |guest: &mut Guest<Net>, bytes: &[u8]| {
        guest.put(BUFFERS, bytes);
        guest.put(IN, &[0xee]);
        let written = guest.request(4, &[(BUFFERS, bytes.len() as u32, false), (IN, 1, true)]);
        assert_eq!(written, 1);
        guest.get(IN, 1)[0]
    };
    assert_eq!(command(&mut guest, &[1, 1, 2, 9, 9, 9, 9, 9]), 0);
    assert_eq!(guest.get(0, 0), [0_u8; 0]);
    assert_eq!(guest.read(0x2000, 8) & 0xffff_ffff_ffff, 0x0909_0909_0902);
    assert_eq!(command(&mut guest, &[4, 0, 2, 0]), 0);
    assert_eq!(command(&mut guest, &[4, 0, 3, 0]), 1);
    assert_eq!(command(&mut guest, &[5, 0, 2, 0, 0, 0, 0, 0, 0, 0]), 0);
    assert_eq!(*nic.offloads.lock().unwrap(), Offloads::CHECKSUM);
    assert_eq!(command(&mut guest, &[99, 0]), 1);
    assert_eq!(command(&mut guest, &[]), 1);
    guest.write(20, 1, 0);
    assert_eq!(guest.read(0x2000, 8) & 0xffff_ffff_ffff, 0x0100_0000_0002);
}
