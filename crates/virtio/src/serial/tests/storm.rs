//! A hostile driver between programs that come, go and fall silent.

use std::net::Shutdown;

use super::{
    Arc, BUFFERS, CONTROL_RECEIVE, CONTROL_TRANSMIT, DATA, Guest, Host, INBOX, MULTIPORT, Message,
    RAM, Read, Rng, Serial, UnixStream, Write, hear, message, say, serial, told_open,
};
use crate::feature::RING_RESET;
use device::pci::Function;

/// What programs on the host do.
fn host(random: &mut Rng, hosts: &[Arc<Host>], clients: &mut Vec<UnixStream>) {
    if clients.len() < 8 {
        let client = hosts[random.u64(..2) as usize].call();
        client.set_nonblocking(true).unwrap();
        clients.push(client);
    }
    let index = random.u64(..clients.len() as u64) as usize;
    let client = &mut clients[index];
    match random.u64(..6) {
        0 => _ = client.write(&vec![1; random.u64(..0x4000) as usize]),
        1..=2 => _ = client.read(&mut [0; 0x4000]),
        3 => _ = client.shutdown(Shutdown::Write),
        4 => _ = client.shutdown(Shutdown::Read),
        _ => drop(clients.swap_remove(index)),
    }
}

/// One of the driver's moves.
fn drive(guest: &mut Guest<Serial>, random: &mut Rng) {
    let queue = random.u64(..6) as u16;
    match random.u64(..12) {
        0..=3 => {
            let message = Message {
                port: random.u64(..3) as u32,
                event: random.u64(..9) as u16,
                value: random.u64(..2) as u16,
            };
            guest.put(BUFFERS + 0x1000, &message.to_bytes());
            let len = if random.u64(..9) == 0 {
                random.u64(..9)
            } else {
                8
            };
            guest.offer(CONTROL_TRANSMIT, &[(BUFFERS + 0x1000, len as u32, false)]);
        }
        4..=5 => guest.offer(CONTROL_RECEIVE, &[(INBOX, random.u64(..20) as u32, true)]),
        6..=8 => {
            let at = DATA + random.u64(..0x1000);
            let len = random.u64(..) as u32 >> (12 + random.u64(..20));
            guest.offer(
                queue,
                &[(at, len, random.u64(..8) < 6 && queue.is_multiple_of(2))],
            );
        }
        9 => guest.put(
            0x1_0000 * (1 + u64::from(queue)) + random.u64(..300),
            &[random.u64(..) as u8],
        ),
        10 => guest.offer(queue, &[(random.u64(..) >> random.u64(..64), 16, true)]),
        _ => {
            guest.write(22, 2, queue.into());
            guest.write(58, 2, 1);
        }
    }
}

fn start(guest: &mut Guest<Serial>) {
    guest.function.reset();
    guest.rings.clear();
    guest.negotiate(MULTIPORT | RING_RESET);
    for index in 0..6 {
        guest.add_queue(index, 16);
    }
    guest.write(20, 1, 0xf);
}

#[test]
fn a_storm_of_messages_is_survived() {
    let (device, hosts) = serial(&["a", "b"]);
    let mut guest = Guest::new(device, MULTIPORT | RING_RESET);
    let canary = guest.get(2 * RAM, RAM as usize);
    let (mut random, mut clients) = (Rng::with_seed(0xc0de), Vec::new());
    for round in 0..20_000_u32 {
        if random.u64(..4) == 0 {
            host(&mut random, &hosts, &mut clients);
        } else {
            drive(&mut guest, &mut random);
        }
        if round.is_multiple_of(400) {
            start(&mut guest);
            say(&mut guest, 0, message::DEVICE_READY, 1);
        }
    }
    assert!(guest.get(2 * RAM, RAM as usize) == canary);
    // For a driver that behaves it is as new.
    clients.clear();
    hosts
        .iter()
        .for_each(|host| host.waiting.lock().unwrap().clear());
    start(&mut guest);
    say(&mut guest, 0, message::DEVICE_READY, 1);
    let added = [hear(&mut guest), hear(&mut guest)];
    assert_eq!(
        added.map(|told| (told.0, told.1)),
        [0, 1].map(|port| (port, message::DEVICE_ADD))
    );
    say(&mut guest, 1, message::PORT_READY, 1);
    assert_eq!(hear(&mut guest).3, b"b");
    let mut client = hosts[1].call();
    assert_eq!(hear(&mut guest), told_open(1, 1));
    guest.put(DATA, b"calm");
    guest.request(5, &[(DATA, 4, false)]);
    let mut bytes = [0; 4];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"calm");
}
