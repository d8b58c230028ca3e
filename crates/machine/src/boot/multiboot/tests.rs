use super::super::sample::{self, Loaded};
use super::*;
use crate::layout::MIB;

#[test]
fn a_flat_kernel_is_loaded_where_its_header_says() {
    let file = sample::multiboot_flat(0x20_0000, b"code");
    let loaded = Loaded::new(&file, None, "a b", 16 * MIB).unwrap();
    assert_eq!(loaded.bytes(0x20_0000, 4), 0x1bad_b002_u32.to_le_bytes());
    assert_eq!(loaded.entry.rip, 0x20_0020);
    assert_eq!(loaded.bytes(0x20_0020, 4), b"code");
    assert_eq!(loaded.entry.register(gpr::RAX), LOADER_MAGIC);
    let info = loaded.entry.register(gpr::RBX);
    assert_eq!(loaded.u32(info + 4), 639);
    assert_eq!(loaded.u32(info + 8), 15 * 1024);
    let line = u64::from(loaded.u32(info + 16));
    assert_eq!(loaded.bytes(line, 9), b"test a b\0");
}

#[test]
fn an_elf_kernel_gets_its_modules() {
    let mut file = sample::elf32(0x10_0000, &sample::multiboot_header(0), 0x3000);
    file.resize(9000, 0);
    let loaded = Loaded::new(&file, Some(b"module"), "", 16 * MIB).unwrap();
    let info = loaded.entry.register(gpr::RBX);
    assert_eq!(loaded.u32(info) & 8, 8);
    assert_eq!(loaded.u32(info + 20), 1);
    let table = u64::from(loaded.u32(info + 24));
    assert_eq!(loaded.u32(table), 0x10_3000);
    assert_eq!(loaded.u32(table + 4), 0x10_3006);
    assert_eq!(loaded.bytes(0x10_3000, 6), b"module");
}

#[test]
fn the_memory_map_is_complete() {
    let file = sample::multiboot_flat(0x20_0000, b"code");
    let loaded = Loaded::new(&file, None, "", 16 * MIB).unwrap();
    let info = loaded.entry.register(gpr::RBX);
    let (len, at) = (loaded.u32(info + 44), u64::from(loaded.u32(info + 48)));
    assert_eq!(len as usize, loaded.layout.map().len() * 24);
    for (index, entry) in loaded.layout.map().iter().enumerate() {
        let at = at + index as u64 * 24;
        assert_eq!(loaded.u32(at), 20);
        assert_eq!(loaded.u64(at + 4), entry.start.0);
        assert_eq!(loaded.u64(at + 12), entry.len);
    }
}

#[test]
fn headers_with_unknown_requirements_are_refused() {
    let header = sample::multiboot_header(8);
    let header = Header::find(&header).unwrap();
    assert!(Image::parse(&[], &header).unwrap_err().contains("0x8"));
}

#[test]
fn a_truncated_flat_kernel_is_refused() {
    let file = sample::multiboot_flat(0x20_0000, b"code");
    let header = Header::find(&file).unwrap();
    assert!(Image::parse(&file, &header).is_ok());
    let cut = &file[..file.len() - 1];
    assert!(
        Image::parse(cut, &header)
            .unwrap_err()
            .contains("truncated")
    );
}

#[test]
fn a_virtual_entry_becomes_a_physical_one() {
    let mut file = sample::elf32(0x10_0000, &sample::multiboot_header(0), 0x3000);
    file[24..28].copy_from_slice(&0xc010_0010_u32.to_le_bytes());
    file[sample::ELF32_VADDR..sample::ELF32_VADDR + 4]
        .copy_from_slice(&0xc010_0000_u32.to_le_bytes());
    let image = Image::parse(&file, &Header::find(&file).unwrap()).unwrap();
    assert_eq!(image.entry, 0x10_0010);
}
