use x86::CpuState;
use x86::cr::{cr0, efer};

use super::super::sample::{self, Loaded};
use super::*;
use crate::layout::{GDT, MIB, PAGE_TABLES};

const CODE: [u8; 0x400] = [0x90; 0x400];

fn load(file: &[u8], initrd: Option<&[u8]>, memory: u64) -> Result<Loaded, Error> {
    Loaded::new(file, initrd, "console=ttyS0", memory)
}

#[test]
fn a_64_bit_kernel_is_entered_with_its_parameters() {
    let loaded = load(
        &sample::bzimage(0x020f, true, &CODE),
        Some(b"0123"),
        64 * MIB,
    )
    .unwrap();
    assert_eq!(loaded.entry.rip, 0x100_0200);
    let page = loaded.entry.register(gpr::RSI);
    assert_eq!(page, ZERO_PAGE.0);
    assert_eq!(loaded.bytes(page + 0x202, 4), b"HdrS");
    assert_eq!(loaded.bytes(page + 0x210, 1), [0xff]);
    assert_eq!(loaded.u64(page + 0x70), sample::RSDP.0);
    assert_eq!(loaded.u32(page + 0x214), 0x100_0000);
    let initrd = u64::from(loaded.u32(page + 0x218));
    assert_eq!(initrd, 64 * MIB - 4096);
    assert_eq!(loaded.bytes(initrd, 4), b"0123");
    assert_eq!(loaded.u32(page + 0x21c), 4);
    let line = u64::from(loaded.u32(page + 0x228));
    assert_eq!(loaded.bytes(line, 14), b"console=ttyS0\0");
    assert_eq!(
        loaded.bytes(page + 0x1e8, 1),
        [loaded.layout.map().len() as u8]
    );
    assert_eq!(loaded.u64(page + 0x2d0 + 8), 0x9_fc00);
    assert_eq!(loaded.bytes(0x100_0000, 4), [0x90; 4]);
}

#[test]
fn the_64_bit_state_is_what_the_protocol_asks_for() {
    let loaded = load(&sample::bzimage(0x020f, true, &CODE), None, 64 * MIB).unwrap();
    let mut state = CpuState::reset(0);
    loaded.entry.apply(&mut state);
    assert_eq!(state.efer, efer::LME | efer::LMA);
    assert!(state.cr0 & cr0::PG != 0 && state.cr0 & (cr0::CD | cr0::NW) == 0);
    assert_eq!(state.cpl(), 0);
    assert!(state.segments[1].attributes.is_long());
    assert!(state.segments[2].attributes.is_big() && state.segments[2].limit == u32::MAX);
    let descriptor = loaded.u64(GDT.0 + u64::from(state.segments[1].selector));
    assert!(
        descriptor & 1 << 53 != 0,
        "the table agrees with the hidden part"
    );
    // Walk the tables for an address in the third gibibyte.
    let address = 0xc123_4567_u64;
    assert_eq!(state.cr3, PAGE_TABLES.0);
    let pml4e = loaded.u64(state.cr3);
    let pdpte = loaded.u64((pml4e & !0xfff) + (address >> 30) * 8);
    let pde = loaded.u64((pdpte & !0xfff) + (address >> 21 & 511) * 8);
    assert_eq!(pde & !0x1f_ffff, address & !0x1f_ffff);
    assert_eq!(pde & 0x83, 0x83);
}

#[test]
fn a_kernel_without_a_64_bit_entry_is_entered_in_protected_mode() {
    let loaded = load(&sample::bzimage(0x020f, false, &CODE), None, 64 * MIB).unwrap();
    assert_eq!(loaded.entry.rip, 0x100_0000);
    let mut state = CpuState::reset(0);
    loaded.entry.apply(&mut state);
    assert!(state.cr0 & cr0::PE != 0 && state.cr0 & cr0::PG == 0);
    assert_eq!(state.efer, 0);
    assert_eq!(state.segments[1].limit, u32::MAX);
}

#[test]
fn a_relocatable_kernel_moves_down_where_memory_is_small() {
    let file = sample::bzimage(0x020f, true, &CODE);
    assert_eq!(load(&file, None, 16 * MIB).unwrap().entry.rip, 0x20_0200);
    let error = load(&file, None, 4 * MIB).unwrap_err().to_string();
    assert!(
        error.contains("needs at least 6M of memory, and the machine has 4M"),
        "{error}"
    );
}

#[test]
fn an_initrd_that_does_not_fit_is_told() {
    let file = sample::bzimage(0x020f, true, &CODE);
    let initrd = vec![1; 13 << 20];
    let error = load(&file, Some(&initrd), 16 * MIB)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("do not fit into memory beside the kernel, which leaves 10M"),
        "{error}"
    );
}

#[test]
fn a_long_command_line_is_told() {
    let file = sample::bzimage(0x020f, true, &CODE);
    let error = Loaded::new(&file, None, &"x".repeat(2048), 64 * MIB).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a command line of 2048 bytes: this kernel takes 2047"
    );
}
