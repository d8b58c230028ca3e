use super::super::sample;
use super::*;

#[test]
fn a_64_bit_executable_yields_its_segments_and_note() {
    let file = sample::pvh_elf(0x10_0000, b"\x90\xf4", 0x2000);
    let elf = Elf::parse(&file).unwrap();
    assert_eq!(elf.segments.len(), 1);
    let segment = &elf.segments[0];
    assert_eq!((segment.at, segment.len), (0x10_0000, 0x2000));
    assert_eq!(&file[segment.file.clone()], b"\x90\xf4");
    assert_eq!(elf.pvh_entry(&file), Some(0x10_0000));
}

#[test]
fn a_32_bit_executable_yields_its_segments() {
    let file = sample::elf32(0x20_0000, b"code", 8);
    let elf = Elf::parse(&file).unwrap();
    assert_eq!(elf.entry, 0x20_0000);
    assert_eq!(&file[elf.segments[0].file.clone()], b"code");
    assert_eq!(elf.pvh_entry(&file), None);
}

#[test]
fn every_truncation_is_refused_or_still_whole() {
    for file in [
        sample::pvh_elf(0x10_0000, b"\x90\xf4", 0x2000),
        sample::elf32(0x20_0000, b"code", 8),
    ] {
        let whole = Elf::parse(&file).unwrap();
        for len in 0..file.len() {
            if let Ok(elf) = Elf::parse(&file[..len]) {
                assert!(elf.segments == whole.segments, "{len} bytes");
            }
        }
    }
}

#[test]
fn foreign_executables_are_named() {
    let mut arm = sample::elf32(0x20_0000, b"code", 8);
    arm[18] = 40;
    assert!(Elf::parse(&arm).unwrap_err().contains("architecture"));
    let mut big = sample::elf32(0x20_0000, b"code", 8);
    big[5] = 2;
    assert!(Elf::parse(&big).unwrap_err().contains("byte order"));
}
