//! What is left of a qcow2 image when the monitor ends without a word.

use std::process::Command;

use super::{Folder, READING, WRITING, fs, open, text};

/// Bytes of a disk whose mapping needs several L2 tables and reference count blocks.
const LARGE: u64 = 5 << 30;
const CLUSTER: u64 = 64 << 10;

/// What qemu-img finds wrong, beside space that is lost; nothing where there is none.
fn errors(path: &std::path::Path) -> String {
    let Ok(output) = Command::new("qemu-img")
        .args(["check", text(path)])
        .output()
    else {
        println!("SKIPPED: no qemu-img to check with");
        return String::new();
    };
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    said.lines()
        .filter(|line| line.contains("ERROR") || line.contains("corrupt"))
        .collect()
}

/// At any moment the file is an image without errors, that holds what was flushed, and can be written again.
#[test]
fn a_monitor_that_ends_leaves_a_whole_image() {
    let folder = Folder::new("crash");
    let path = folder.0.join("disk.qcow2");
    super::super::create(&path, None, Some(LARGE), None).unwrap();
    let disk = open(&path, WRITING).unwrap();
    let mut flushed = Vec::new();
    for round in 0..24_u64 {
        let at = round * 7919 * CLUSTER % (LARGE - CLUSTER) / 512 * 512;
        let bytes = [round as u8 + 1; 8192];
        disk.write(at, &bytes).unwrap();
        if round % 5 == 1 {
            disk.discard(at / CLUSTER * CLUSTER, CLUSTER).unwrap();
        }
        // What a killed monitor leaves: the file as it is now.
        let left = folder.0.join("left.qcow2");
        fs::copy(&path, &left).unwrap();
        assert_eq!(errors(&left), "", "round {round}");
        let reopened = open(&left, WRITING).unwrap();
        reopened.write(LARGE / 2 + 512, &[0xee; 70_000]).unwrap();
        reopened.flush().unwrap();
        for &(at, byte) in &flushed {
            let mut found = [0; 8192];
            reopened.read(at, &mut found).unwrap();
            assert!(found == [byte; 8192], "round {round}, {at:#x}");
        }
        drop(reopened);
        assert_eq!(errors(&left), "", "round {round}, written again");
        if round % 5 != 1 {
            disk.flush().unwrap();
            flushed.push((at, round as u8 + 1));
        }
    }
}

/// A guest that switches itself off without a flush loses nothing when the monitor ends in order.
#[test]
fn what_was_never_flushed_is_in_the_file_at_the_end() {
    let folder = Folder::new("end");
    let path = folder.0.join("disk.qcow2");
    super::super::create(&path, None, Some(LARGE), None).unwrap();
    let disk = open(&path, WRITING).unwrap();
    disk.write(LARGE / 2, &[7; 4096]).unwrap();
    disk.settle().unwrap();
    // Never dropped.
    std::mem::forget(disk);
    let left = folder.0.join("left.qcow2");
    fs::copy(&path, &left).unwrap();
    assert_eq!(errors(&left), "");
    let mut found = [0; 4096];
    open(&left, READING)
        .unwrap()
        .read(LARGE / 2, &mut found)
        .unwrap();
    assert!(found == [7; 4096]);
}
