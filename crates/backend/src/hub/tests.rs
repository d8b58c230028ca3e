use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use iface::Char;

use super::*;
use crate::ConsoleChar;

const SOON: Duration = Duration::from_secs(10);

struct Rig {
    folder: PathBuf,
    device: ConsoleChar,
    console: Console,
    hub: Hub,
}

impl Rig {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("backend-hub-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (console, device) = Console::new();
        let hub = Hub::new(&console, &folder.join("console.log"));
        console.show(hub.clone(), |_| {}).unwrap();
        Self {
            folder,
            device,
            console,
            hub,
        }
    }

    /// A client, and what tells that it typed.
    fn client(&self) -> (UnixStream, Receiver<()>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(SOON)).unwrap();
        let (sender, ready) = channel();
        let told = move || {
            let _ = sender.send(());
        };
        self.hub.attach(theirs, Vec::new(), told).unwrap();
        (ours, ready)
    }

    fn print(&mut self, text: &str) {
        assert_eq!(self.device.write(text.as_bytes()), text.len());
        self.console.flush(SOON);
    }

    fn clients(&self) -> usize {
        self.hub.lock().clients.len()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Reads until the text has come.
fn expect(client: &mut UnixStream, text: &str) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        client.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
}

#[test]
fn all_see_the_same_and_the_log_as_well() {
    let mut rig = Rig::new("all");
    let (mut one, _) = rig.client();
    rig.print("early ");
    let (mut two, _) = rig.client();
    rig.print("late");
    expect(&mut one, "early late");
    expect(&mut two, "early");
    expect(&mut two, "late");
    let log = std::fs::read_to_string(rig.folder.join("console.log"));
    assert_eq!(log.unwrap(), "early late");
}

#[test]
fn what_any_client_types_reaches_the_guest() {
    let mut rig = Rig::new("type");
    for text in [b"one", b"two"] {
        let (mut client, ready) = rig.client();
        client.write_all(text).unwrap();
        ready.recv_timeout(SOON).unwrap();
        let mut typed = [0; 8];
        assert_eq!(rig.device.read(&mut typed), 3);
        assert_eq!(&typed[..3], text);
    }
}

#[test]
fn what_was_typed_before_comes_first() {
    let mut rig = Rig::new("early");
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(b"late").unwrap();
    let (sender, ready) = channel();
    let told = move || {
        let _ = sender.send(());
    };
    rig.hub.attach(theirs, b"early ".to_vec(), told).unwrap();
    let mut typed = [0; 16];
    let mut count = 0;
    while count < 10 {
        ready.recv_timeout(SOON).unwrap();
        count += rig.device.read(&mut typed[count..]);
    }
    assert_eq!(&typed[..count], b"early late");
}

#[test]
fn a_client_that_takes_nothing_is_sent_away_and_others_miss_nothing() {
    let mut rig = Rig::new("stuck");
    let (stuck, _) = rig.client();
    let (mut good, _) = rig.client();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        good.read_to_end(&mut bytes).unwrap();
        bytes.iter().filter(|&&byte| byte == b'x').count()
    });
    let mut printed = 0;
    while printed < 4 << 20 {
        match rig.device.write(&[b'x'; 4096]) {
            0 => thread::sleep(Duration::from_millis(1)),
            count => printed += count,
        }
    }
    rig.console.flush(SOON);
    assert_eq!(rig.clients(), 1);
    rig.hub.finish(SOON);
    assert_eq!(reader.join().unwrap(), printed);
    drop(stuck);
}

#[test]
fn clients_that_type_what_nobody_takes_and_go_leave_room_for_others() {
    let rig = Rig::new("flood");
    for _ in 0..CLIENTS * 2 {
        let (mut client, _) = rig.client();
        client.set_nonblocking(true).unwrap();
        while client.write(&[b'x'; 4096]).is_ok() {}
        drop(client);
        let end = std::time::Instant::now() + SOON;
        while rig.clients() > 0 {
            assert!(std::time::Instant::now() < end, "the client stayed");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn the_end_of_a_clients_input_is_not_its_end() {
    let mut rig = Rig::new("half");
    let (mut client, _) = rig.client();
    client.shutdown(Shutdown::Write).unwrap();
    thread::sleep(Duration::from_millis(50));
    rig.print("still here");
    expect(&mut client, "still here");
    assert_eq!(rig.clients(), 1);
}

#[test]
fn there_are_not_more_clients_than_threads_for_them() {
    let rig = Rig::new("many");
    let clients: Vec<_> = (0..CLIENTS).map(|_| rig.client()).collect();
    let (_ours, theirs) = UnixStream::pair().unwrap();
    assert!(rig.hub.attach(theirs, Vec::new(), || {}).is_err());
    drop(clients);
}
