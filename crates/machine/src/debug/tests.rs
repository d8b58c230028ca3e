//! Addresses, pieces, and processors in the hands of a debugger.

use super::*;
use x86::cr::{cr0, cr4, efer};

fn memory(words: &[(u64, u64)]) -> GuestRam {
    let ram = GuestRam::new(&[(Gpa(0), 1 << 20)]).expect("there is memory");
    for (at, word) in words {
        ram.write(Gpa(*at), &word.to_le_bytes()).expect("it fits");
    }
    ram
}

#[test]
fn addresses_lead_through_each_kind_of_tables() {
    let mut state = CpuState::reset(0);
    let ram = memory(&[
        // Four levels: 4 KiB, 2 MiB and 1 GiB pages.
        (0x1000 + 8 * 0x1ff, 0x2003),
        (0x2000 + 8 * 0x1fe, 0x3003),
        (0x2000 + 8 * 0x1ff, 1 << 63 | 0x4000_0083),
        (0x3000, 0x4003),
        (0x3008, 0x60_0083),
        (0x4008, 0x5003),
        // Two levels: a table and a page of 4 MiB.
        (0x6000, 0x7003 | 0x0080_0083 << 32),
        (0x7000, 0x5003 << 32),
    ]);
    let at = |state: &CpuState, linear| walk::translate(state, &ram, linear).map(|at| at.0);
    assert_eq!(at(&state, 0xffff_fff0), Some(0xffff_fff0), "no paging");
    state.cr0 |= cr0::PE | cr0::PG;
    state.cr3 = 0x6000;
    assert_eq!(at(&state, 0x1234), Some(0x5234));
    assert_eq!(at(&state, 0x40_1234), None, "PSE is off");
    state.cr4 = cr4::PSE;
    assert_eq!(at(&state, 0x40_1234), Some(0x80_1234));
    assert_eq!(at(&state, 0x80_0000), None);
    state.cr4 = cr4::PAE;
    state.pdpte = [0x3001, 0, 0, 0];
    assert_eq!(at(&state, 0x1234), Some(0x5234));
    assert_eq!(at(&state, 0x20_1234), Some(0x60_1234));
    assert_eq!(at(&state, 0x4000_0000), None);
    state.efer = efer::LME | efer::LMA;
    (state.cr3, state.pdpte) = (0x1000, [0; 4]);
    assert_eq!(at(&state, 0xffff_ffff_8000_1234), Some(0x5234));
    assert_eq!(at(&state, 0xffff_ffff_8020_1234), Some(0x60_1234));
    assert_eq!(at(&state, 0xffff_ffff_c012_3456), Some(0x4012_3456));
    assert_eq!(at(&state, 0x7fff_8000_1234), None, "not mapped");
    assert_eq!(at(&state, 0xffff_7fff_8000_1234), None, "not canonical");
}

#[test]
fn ranges_become_what_debug_registers_hold() {
    let shapes = |address, len| {
        let pieces = pieces(address, len, true);
        pieces
            .iter()
            .map(|piece| (piece.address, piece.len))
            .collect::<Vec<_>>()
    };
    assert_eq!(shapes(0x1000, 8), [(0x1000, 8)]);
    assert_eq!(shapes(0x1003, 7), [(0x1003, 1), (0x1004, 4), (0x1008, 2)]);
    assert_eq!(shapes(0x1000, 20), [(0x1000, 8), (0x1008, 8), (0x1010, 4)]);
}

#[test]
fn what_was_planted_comes_out_again_unless_overwritten() {
    let ram = memory(&[(0x1000, 0x1122_3344)]);
    let mut plants = Plants::default();
    for at in [0x1000, 0x1001, 0x1001] {
        plants.plant(&ram, Gpa(at));
    }
    ram.write(Gpa(0x1000), &[0x55]).expect("it fits");
    plants.pull(&ram);
    let mut bytes = [0; 4];
    ram.read(Gpa(0x1000), &mut bytes).expect("it fits");
    assert_eq!(bytes, [0x55, 0x33, 0x22, 0x11]);
}
