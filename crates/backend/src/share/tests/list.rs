//! Many entries, and many files that are known.

use std::fs;

use iface::FileServer;

use super::client::{BADF, Client, STALE, join, longs, words};
use crate::share::message::opcode;
use crate::share::node::ROOT;
use crate::share::{Nodes, lock};

#[test]
fn ten_thousand_entries_are_listed() {
    let mut client = Client::new(false);
    for number in 0..10_000 {
        fs::write(client.shared(&format!("folder/{number}")), "").unwrap();
    }
    let folder = client.lookup(ROOT, "folder").unwrap();
    for plus in [false, true] {
        let names = client.list(folder, plus);
        assert_eq!(names.len(), 10_002);
        let unique: std::collections::HashSet<_> = names.into_iter().collect();
        assert_eq!(unique.len(), 10_002);
    }
}

#[test]
fn what_is_forgotten_is_gone() {
    let mut client = Client::new(false);
    let file = client.lookup(ROOT, "file").unwrap();
    client.lookup(ROOT, "file").unwrap();
    assert_eq!(lock(&client.share.nodes).len(), 2);
    client.ask(opcode::FORGET, file, &longs(&[1])).unwrap();
    assert!(client.open(file, 0).is_ok());
    let pairs = join(&[&words(&[2, 0]), &longs(&[file, 1, ROOT, 99])]);
    client.ask(opcode::BATCH_FORGET, 0, &pairs).unwrap();
    assert_eq!(client.open(file, 0), Err(STALE));
    assert_eq!(lock(&client.share.nodes).len(), 1);
    let file = client.lookup(ROOT, "file").unwrap();
    let handle = client.open(file, 0).unwrap();
    client.share.forget_all();
    assert_eq!(client.read(handle, 0, 1), Err(BADF));
    assert!(client.lookup(ROOT, "file").is_ok());
}

#[test]
fn more_files_are_known_than_there_are_descriptors() {
    let mut client = Client::new(false);
    let root = rustix::fs::open(
        client.shared(""),
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
    );
    *lock(&client.share.nodes) = Nodes::new(root.unwrap(), 16).unwrap();
    fs::create_dir_all(client.shared("folder/a/b/c")).unwrap();
    let mut folder = ROOT;
    for name in ["folder", "a", "b", "c"] {
        folder = client.lookup(folder, name).unwrap();
    }
    let mut nodes = Vec::new();
    for number in 0..100 {
        let name = format!("{number}");
        fs::write(client.shared("folder/a/b/c").join(&name), &name).unwrap();
        nodes.push(client.lookup(folder, &name).unwrap());
    }
    let descriptors = |client: &Client| lock(&client.share.nodes).descriptors();
    assert!(descriptors(&client) <= 17);
    for (number, node) in nodes.iter().enumerate() {
        let handle = client.open(*node, 0).unwrap();
        assert_eq!(
            client.read(handle, 0, 10).unwrap(),
            number.to_string().as_bytes()
        );
        client
            .ask(opcode::RELEASE, *node, &longs(&[handle, 0, 0]))
            .unwrap();
    }
    assert!(descriptors(&client) <= 17);
    // The guest's renaming is followed; the host's is noticed.
    let above = client.lookup(ROOT, "folder").unwrap();
    client
        .ask(opcode::RENAME, above, &join(&[&longs(&[ROOT]), b"a\0z\0"]))
        .unwrap();
    assert!(nodes.iter().all(|&node| client.open(node, 0).is_ok()));
    let (old, new) = (client.shared("z/b/c/7"), client.shared("z/b/c/8"));
    fs::rename(&old, &new).unwrap();
    for &node in &nodes[20..] {
        client.open(node, 0).unwrap();
    }
    assert_eq!(client.open(nodes[8], 0), Err(STALE));
    fs::rename(&new, &old).unwrap();
    assert!(client.open(nodes[7], 0).is_ok());
    // All that was told is forgotten, folders last or first.
    for node in nodes.into_iter().chain([folder, above]).rev() {
        client.ask(opcode::FORGET, node, &longs(&[99])).unwrap();
    }
    assert_eq!(
        lock(&client.share.nodes).len(),
        3,
        "a and b are still known"
    );
}
