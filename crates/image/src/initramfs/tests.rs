use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

fn sample() -> Initramfs {
    Initramfs::new()
        .folder("proc")
        .device("dev/console", 0o600, 5, 1)
        .file("usr/bin/tool", 0o755, b"12345")
        .file("usr/bin/empty", 0o644, b"")
        .link("bin", "usr/bin")
}

/// Path, mode, device, content.
type Found = (String, u32, (u32, u32), Vec<u8>);

/// Takes an archive apart.
fn entries(mut bytes: &[u8]) -> Vec<Found> {
    let mut all = Vec::new();
    loop {
        assert_eq!(&bytes[..6], b"070701");
        let field = |index: usize| {
            let digits = std::str::from_utf8(&bytes[6 + index * 8..14 + index * 8]).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        let (size, name) = (field(6) as usize, field(11) as usize);
        let start = (110 + name).next_multiple_of(4);
        let path = String::from_utf8(bytes[110..110 + name - 1].to_vec()).unwrap();
        assert_eq!(bytes[110 + name - 1], 0);
        if path == TRAILER {
            return all;
        }
        all.push((
            path,
            field(1),
            (field(9), field(10)),
            bytes[start..start + size].to_vec(),
        ));
        bytes = &bytes[(start + size).next_multiple_of(4)..];
    }
}

#[test]
fn parents_come_first_and_once() {
    let found = entries(&sample().build());
    let paths: Vec<_> = found.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "proc",
            "dev",
            "dev/console",
            "usr",
            "usr/bin",
            "usr/bin/tool",
            "usr/bin/empty",
            "bin"
        ]
    );
    assert_eq!(found[2], ("dev/console".into(), 0o020_600, (5, 1), vec![]));
    assert_eq!(found[4].1, 0o040_755);
    assert_eq!(
        found[5],
        ("usr/bin/tool".into(), 0o100_755, (0, 0), b"12345".to_vec())
    );
    assert_eq!(
        found[7],
        ("bin".into(), 0o120_777, (0, 0), b"usr/bin".to_vec())
    );
}

#[test]
fn equal_content_makes_equal_bytes() {
    assert_eq!(sample().build(), sample().build());
}

#[test]
fn cpio_reads_it() {
    let cpio = Command::new("cpio")
        .args(["-t", "-v", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut cpio) = cpio else {
        eprintln!("SKIPPED: no cpio on this host");
        return;
    };
    cpio.stdin
        .take()
        .unwrap()
        .write_all(&sample().build())
        .unwrap();
    let output = cpio.wait_with_output().unwrap();
    assert!(output.status.success());
    let listing = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = listing.lines().collect();
    assert_eq!(lines.len(), 8, "{listing}");
    assert!(
        lines[2].starts_with("crw-------") && lines[2].contains("5,   1"),
        "{listing}"
    );
    assert!(
        lines[5].starts_with("-rwxr-xr-x") && lines[5].contains(" 5 "),
        "{listing}"
    );
    assert!(lines[7].ends_with("bin -> usr/bin"), "{listing}");
}
