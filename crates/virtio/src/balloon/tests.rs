#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use super::{Balloon, REPORTING};
use crate::testing::{BUFFERS, Guest};

#[test]
fn pages_go_back_to_the_host() {
    let balloon = Balloon::default();
    let pump = balloon.pump();
    let mut guest = Guest::new(balloon, REPORTING);
    for at in (0..8).map(|page| BUFFERS + 0x1000 * page) {
        guest.put(at, &[7; 0x1000]);
    }
    let before = guest.ram.resident().unwrap();
    // Two and a half pages are reported: two are free.
    guest.request(2, &[(BUFFERS + 0x800, 0x2800, true)]);
    let numbers = [(BUFFERS >> 12) + 5, 0x1_0000, 0xffff_ffff];
    let numbers = numbers.map(|number| u32::try_from(number).unwrap().to_le_bytes());
    guest.put(BUFFERS, &numbers.concat());
    guest.request(0, &[(BUFFERS, 12, false)]);
    assert_eq!(before - guest.ram.resident().unwrap(), 3 << 12);
    let first = |page: u64| guest.get(BUFFERS + 0x1000 * page + 0xfff, 1)[0];
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(first), [7, 0, 0, 7, 7, 0, 7]);
    pump.want(3 << 20);
    assert_eq!(guest.read(0x2000, 4), 768);
    guest.write(0x2004, 4, 5);
    assert_eq!(pump.given(), 5 << 12);
}
