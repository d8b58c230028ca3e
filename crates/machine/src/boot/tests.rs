use super::sample::{self, Loaded};
use super::*;
use crate::layout::MIB;

fn refusal(bytes: &[u8]) -> String {
    Kernel::parse(Path::new("/boot/k"), bytes.to_vec())
        .unwrap_err()
        .to_string()
}

#[test]
fn kinds_are_told_apart() {
    let kind = |bytes: &[u8]| {
        Kernel::parse(Path::new("k"), bytes.to_vec())
            .unwrap()
            .protocol()
    };
    assert_eq!(
        kind(&sample::bzimage(0x020f, true, &[0; 64])),
        "Linux, 64-bit entry"
    );
    assert_eq!(
        kind(&sample::bzimage(0x020f, false, &[0; 64])),
        "Linux, 32-bit entry"
    );
    assert_eq!(kind(&sample::pvh_elf(0x10_0000, b"x", 1)), "PVH");
    assert_eq!(kind(&sample::multiboot_flat(0x10_0000, b"x")), "Multiboot");
}

#[test]
fn refusals_name_the_file_and_what_was_expected() {
    let mut boot_sector = vec![0; 1024];
    boot_sector[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    for (bytes, what) in [
        (&b""[..], "is empty"),
        (b"#!/bin/sh\n", "is a script"),
        (b"\x1f\x8b\x08", "gzip"),
        (&[0; 4096], "is no kernel"),
        (&boot_sector, "is a boot sector"),
        (
            &sample::elf32(0x10_0000, b"x", 1),
            "neither a PVH entry nor",
        ),
    ] {
        let text = refusal(bytes);
        assert!(
            text.starts_with("kernel /boot/k: ") && text.contains(what),
            "{text}"
        );
        assert!(text.contains("expected") && !text.contains('\n'), "{text}");
    }
}

/// A small generator of reproducible randomness (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Whatever happens to a kernel's bytes, loading it ends in a kernel or an error.
#[test]
fn mutated_kernels_never_panic() {
    const CORNERS: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    let mut random = Random(1);
    let seeds = [
        sample::bzimage(0x020f, true, &[0x90; 0x400]),
        sample::bzimage(0x0202, false, &[0x90; 0x400]),
        sample::pvh_elf(0x10_0000, b"\x90\xf4", 0x2000),
        sample::elf32(0x10_0000, &sample::multiboot_header(0), 0x3000),
        sample::multiboot_flat(0x10_0000, b"code"),
    ];
    let mut outcomes = [0; 2];
    for round in 0..4000 {
        let mut file = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(6) {
            // Headers are short: most changes belong there.
            let end = if random.below(2) == 0 {
                file.len().min(0x280)
            } else {
                file.len()
            };
            let at = random.below(end);
            file[at] = match random.below(3) {
                0 => CORNERS[random.below(CORNERS.len())],
                1 => file[at] ^ 1 << random.below(8),
                _ => random.next() as u8,
            };
        }
        if random.below(4) == 0 {
            file.truncate(random.below(file.len() + 1));
        }
        let loaded = Loaded::new(&file, None, "console=ttyS0", 32 * MIB);
        outcomes[usize::from(loaded.is_ok())] += 1;
    }
    assert!(outcomes.iter().all(|&count| count > 100), "{outcomes:?}");
}
