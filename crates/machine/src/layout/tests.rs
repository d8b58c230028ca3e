use super::*;

fn ram_bytes(memory: u64) -> u64 {
    Layout::new(memory).ram().iter().map(|range| range.1).sum()
}

#[test]
fn the_vga_hole_costs_its_bytes_and_the_pci_hole_none() {
    let hole = FIRMWARE.0 - VGA_HOLE.0;
    for memory in [
        MIB,
        16 * MIB,
        3 * GIB - MIB,
        3 * GIB,
        3 * GIB + MIB,
        64 * GIB,
    ] {
        assert_eq!(ram_bytes(memory), memory - hole, "{memory:#x}");
    }
}

#[test]
fn ram_above_4g_begins_with_the_first_byte_that_does_not_fit() {
    assert_eq!(Layout::new(3 * GIB).ram().len(), 2);
    let ranges = Layout::new(3 * GIB + MIB).ram();
    assert_eq!(ranges[2], (RAM_ABOVE_4G, MIB));
    assert!(Layout::new(MEMORY_MAX).above_4g() + RAM_ABOVE_4G.0 <= PCI_WINDOW_64.0);
}

#[test]
fn maps_are_ascending_and_usable_ram_is_ram() {
    for memory in [MIB, 2 * MIB, 512 * MIB, 4 * GIB] {
        let layout = Layout::new(memory);
        let map = layout.map();
        assert!(map.is_sorted_by(|a, b| a.start.0 + a.len <= b.start.0));
        for entry in map.iter().filter(|entry| entry.kind == Use::Ram) {
            let inside = layout.ram().iter().any(|&(start, len)| {
                start <= entry.start && entry.start.0 + entry.len <= start.0 + len
            });
            assert!(inside, "{entry:?}");
        }
    }
}

#[test]
fn one_mebibyte_has_no_high_memory() {
    assert!(
        Layout::new(MIB)
            .map()
            .iter()
            .all(|entry| entry.start != HIGH_MEMORY)
    );
}
