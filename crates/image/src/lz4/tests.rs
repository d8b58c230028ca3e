use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

fn frame(chunks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    for chunk in chunks {
        bytes.extend_from_slice(&u32::try_from(chunk.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(chunk);
    }
    bytes
}

#[test]
fn literals_matches_and_overlaps() {
    // "abcd", then 6 bytes from 4 back, then the last literals "xy".
    let chunk = [0x42, b'a', b'b', b'c', b'd', 4, 0, 0x20, b'x', b'y'];
    assert_eq!(unpack(&frame(&[&chunk]), 100).unwrap(), b"abcdabcdabxy");
    // One literal repeated 4 + 15 + 255 + 2 times by a match of distance one.
    let chunk = [0x1F, b'z', 1, 0, 255, 2, 0x10, b'!'];
    let expected = [vec![b'z'; 1 + 276], vec![b'!']].concat();
    assert_eq!(unpack(&frame(&[&chunk]), 1000).unwrap(), expected);
    // Two chunks follow each other.
    assert_eq!(
        unpack(&frame(&[&[0x10, b'p'], &[0x10, b'q']]), 2).unwrap(),
        b"pq"
    );
    assert_eq!(unpack(&frame(&[]), 0).unwrap(), b"");
}

#[test]
fn long_literals() {
    let text: Vec<u8> = (0..300_u16).map(|byte| byte.to_le_bytes()[0]).collect();
    let chunk = [&[0xF0, 255, 30][..], &text].concat();
    assert_eq!(unpack(&frame(&[&chunk]), 300).unwrap(), text);
}

#[test]
fn damage_is_refused() {
    let bad: [(&[u8], &str); 7] = [
        (&[0x20, b'a'], "literals missing"),
        (&[0xF0, 255, 255], "length without an end"),
        (&[0x10, b'a', 1], "half a distance"),
        (&[0x10, b'a', 0, 0, 0x10, b'b'], "distance zero"),
        (&[0x10, b'a', 2, 0, 0x10, b'b'], "distance before the start"),
        (
            &[0x1F, b'a', 1, 0, 255, 255, 0, 0x10, b'b'],
            "more than the limit",
        ),
        (&[0x1F, b'a', 1, 0], "match length missing"),
    ];
    for (chunk, why) in bad {
        assert!(unpack(&frame(&[chunk]), 100).is_err(), "{why}");
    }
    // A match may not reach into the chunk before.
    assert!(unpack(&frame(&[&[0x10, b'p'], &[0x10, b'q', 2, 0]]), 100).is_err());
    assert!(unpack(&[], 100).is_err());
    assert!(unpack(&[0; 8], 100).is_err());
    let whole = frame(&[&[0x20, b'a', b'b']]);
    for end in 5..whole.len() {
        assert!(unpack(&whole[..end], 100).is_err(), "cut to {end} bytes");
    }
}

#[test]
fn what_lz4_packs_comes_back() {
    let lz4 = Command::new("lz4")
        .args(["-l", "-9", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut lz4) = lz4 else {
        eprintln!("SKIPPED: no lz4 on this host");
        return;
    };
    // More than one chunk, with matches far and near.
    let data: Vec<u8> = (0..1_500_000_u64)
        .flat_map(|n| format!("{} ", n * n / 1000).into_bytes())
        .collect();
    assert!(data.len() > CHUNK);
    let mut input = lz4.stdin.take().unwrap();
    let copy = data.clone();
    let writer = std::thread::spawn(move || input.write_all(&copy).unwrap());
    let packed = lz4.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    assert!(packed.len() < data.len());
    assert!(
        unpack(&packed, data.len()).unwrap() == data,
        "other bytes came back"
    );
}
