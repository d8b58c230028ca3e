use std::sync::Arc;

use mem::{Gpa, GuestRam, Offset};

use super::*;

fn tlb() -> Tlb {
    let ram = Arc::new(GuestRam::new(&[(Gpa(0), 64 << 12)]).unwrap());
    let mut tlb = Tlb::new(ram, 2);
    tlb.select(1, 1);
    tlb.reserve_sites(&[200; 8]);
    tlb
}

fn fill(page: u64) -> Fill {
    Fill {
        page: Offset(page << PAGE_SHIFT),
        read: true,
        write: true,
        global: false,
        large: false,
    }
}

/// What generated code finds.
fn find(tlb: &Tlb, write: bool, linear: u64, bytes: u64) -> Option<u64> {
    let at = tlb.base(1) + if write { WRITE } else { 0 };
    let at = at + ((linear >> 8) as usize & (ENTRIES - 1) << 4);
    // SAFETY: inside of the table.
    let entry = unsafe { *(at as *const Entry) };
    (linear ^ entry.tag <= 4096 - bytes).then(|| (linear ^ entry.tag).wrapping_add(entry.host))
}

#[test]
fn fresh_tables_are_empty() {
    let tlb = tlb();
    for slot in 0..ENTRIES as u64 {
        for high in [0, 1 << 26, 0xffff_8000 << 32] {
            let linear = high | slot << PAGE_SHIFT;
            assert_eq!(find(&tlb, false, linear, 1), None);
            assert_eq!(find(&tlb, true, linear | 0xfff, 1), None);
            assert_eq!(tlb.probe(1, true, linear, 1), None);
        }
    }
}

#[test]
fn generated_code_and_probe_find_the_same() {
    let mut tlb = tlb();
    let start = tlb.ram.pointer(Offset(0), 1).as_ptr() as u64;
    for linear in [0, 0x1000, 0xffff_ffff_ffff_f000, 0x7fff_1234_5000] {
        tlb.fill(1, linear + 0x10, fill(7));
        for (offset, bytes) in [
            (0, 1),
            (0xfff, 1),
            (0xfff, 2),
            (0xff8, 8),
            (0xff9, 8),
            (0, 4096),
        ] {
            let at = linear | offset;
            let hit = (offset + bytes <= 4096).then_some(0x7000 + offset);
            for write in [false, true] {
                assert_eq!(tlb.probe(1, write, at, bytes), hit.map(Offset));
                assert_eq!(find(&tlb, write, at, bytes), hit.map(|at| start + at));
            }
            assert_eq!(tlb.probe(0, false, at, bytes), None, "another table");
            assert_eq!(
                tlb.probe(1, false, at ^ 1 << 26, bytes),
                None,
                "another page"
            );
        }
    }
}

#[test]
fn slots_of_any_kind_are_dropped_and_filled_again() {
    let mut tlb = tlb();
    let has = |tlb: &Tlb, page: u64| tlb.probe(1, true, page << PAGE_SHIFT, 4).is_some();
    for page in [0, 1, 63, 64, 4095, 4096, 16383] {
        tlb.fill(1, page << PAGE_SHIFT, fill(1));
    }
    tlb.fill(
        1,
        5 << PAGE_SHIFT,
        Fill {
            global: true,
            ..fill(2)
        },
    );
    tlb.drop_page(1, 63 << PAGE_SHIFT);
    assert!(!has(&tlb, 63));
    assert!(has(&tlb, 64) && has(&tlb, 16383) && has(&tlb, 0));
    tlb.drop_local(1);
    assert!(
        [0, 1, 64, 4095, 4096, 16383]
            .iter()
            .all(|&page| !has(&tlb, page))
    );
    assert!(has(&tlb, 5));
    tlb.fill(1, 5 << PAGE_SHIFT, fill(1));
    tlb.drop_local(1);
    assert!(!has(&tlb, 5), "it was no longer global");
    tlb.fill(
        1,
        0,
        Fill {
            global: true,
            ..fill(2)
        },
    );
    tlb.drop_all(1);
    assert!(!has(&tlb, 0));
}

/// Pages of the host's that exist of a table's entries for reads or writes.
fn existing(tlb: &Tlb, table: usize, write: bool) -> usize {
    use std::os::unix::fs::FileExt;
    let at = tlb.address(table) + if write { WRITE } else { 0 };
    let mut entries = vec![0; WRITE / 4096 * 8];
    let map = std::fs::File::open("/proc/self/pagemap").unwrap();
    map.read_exact_at(&mut entries, at as u64 / 4096 * 8)
        .unwrap();
    let entries = entries.as_chunks().0.iter();
    entries
        .filter(|&&entry| u64::from_le_bytes(entry) >> 63 != 0)
        .count()
}

#[test]
fn pages_of_a_table_that_hold_nothing_are_given_back() {
    let mut tlb = tlb();
    // One in each of the host's pages, some in all address spaces.
    let at = |page: u64| page << (PAGE_SHIFT + 8);
    let has = |tlb: &Tlb, page| [false, true].map(|write| find(tlb, write, at(page), 8).is_some());
    for round in 0..3 {
        for page in 0..400 {
            let global = page % 5 == 0;
            let fill = fill(page % 64);
            tlb.fill(1, at(page), Fill { global, ..fill });
        }
        assert!((0..400).all(|page| has(&tlb, page) == [true; 2]));
        assert!(existing(&tlb, 1, false) >= 400 && existing(&tlb, 1, true) >= 400);
        tlb.drop_local(1);
        for page in 0..400 {
            assert_eq!(has(&tlb, page), [page % 5 == 0; 2], "{round} {page}");
        }
        // What was looked at exists, too.
        tlb.drop_all(1);
        assert!((0..400).all(|page| has(&tlb, page) == [false; 2]));
        tlb.fill(1, at(3), fill(9));
        tlb.drop_writes_to(Offset(9 << PAGE_SHIFT));
        assert_eq!(has(&tlb, 3), [true, false]);
    }
    (0..400).for_each(|page| tlb.fill(1, at(page), fill(page % 64)));
    tlb.drop_all(1);
    // That of the first, of the table's other parts none.
    assert!(existing(&tlb, 1, false) <= 1 && existing(&tlb, 1, true) <= 1);
}

#[test]
fn parts_of_large_pages_are_dropped_together() {
    let mut tlb = tlb();
    let large = Fill {
        large: true,
        ..fill(3)
    };
    let base = 0xffff_8880_0040_0000;
    for at in [base, base + 0x1f_f000, base - 0x1000, base + (1 << 26)] {
        tlb.fill(1, at, large);
    }
    tlb.fill(1, base + 0x2000, fill(4));
    tlb.drop_large(1, base + 0x12_3456, 22);
    let has = |tlb: &Tlb, at| tlb.probe(1, false, at, 1).is_some();
    assert!(!has(&tlb, base + 0x1f_f000));
    assert!(has(&tlb, base - 0x1000) && has(&tlb, base + 0x2000) && has(&tlb, base + (1 << 26)));
    tlb.drop_large(1, base, 30);
    assert!(!has(&tlb, base - 0x1000) && !has(&tlb, base + (1 << 26)));
    assert!(has(&tlb, base + 0x2000), "not a part");
}

#[test]
fn writes_that_must_be_told_are_dropped_by_page() {
    let mut tlb = tlb();
    tlb.fill(1, 0x5000, fill(1));
    tlb.fill(0, 0x8000, fill(1));
    tlb.fill(1, 0x6000, fill(2));
    tlb.drop_writes_to(Offset(0x1000));
    assert_eq!(tlb.probe(1, true, 0x5000, 1), None);
    assert_eq!(tlb.probe(0, true, 0x8000, 1), None);
    assert_eq!(tlb.probe(1, false, 0x5000, 1), Some(Offset(0x1000)));
    assert_eq!(tlb.probe(1, true, 0x6000, 1), Some(Offset(0x2000)));
}

#[test]
fn writes_to_a_page_are_found_whatever_was_filled_before() {
    let mut tlb = tlb();
    let page = |n: u64| Offset((n % 64) << PAGE_SHIFT);
    for n in 0..4000_u64 {
        let linear = (n * 37 % 128) << PAGE_SHIFT;
        tlb.fill(
            (n % 2) as usize,
            linear,
            Fill {
                write: n % 5 != 0,
                ..fill(n % 64)
            },
        );
        match n % 11 {
            3 => tlb.drop_page(1, linear),
            5 => tlb.drop_writes_to(page(n * 7)),
            7 if n % 13 == 0 => tlb.drop_local(0),
            _ => {}
        }
    }
    for n in 0..64 {
        tlb.drop_writes_to(page(n));
        for linear in (0..128).map(|number| number << PAGE_SHIFT) {
            assert_ne!(tlb.probe(1, true, linear, 1), Some(page(n)));
            assert_ne!(tlb.probe(0, true, linear, 1), Some(page(n)));
        }
        assert_eq!(tlb.writers.first(page(n)), None);
    }
}

/// What the stack's entry of table 1 has for a range.
fn find_stack(tlb: &Tlb, write: bool, linear: u64, bytes: u32) -> Option<u64> {
    let at = tlb.base(1) + stack::place(write) as usize;
    // SAFETY: inside of the table.
    let word = |part: usize| unsafe { *((at + part) as *const u64) };
    let offset = linear.wrapping_sub(word(stack::START));
    let limit = word(stack::LIMITS + 8 * stack::size_class(bytes));
    (offset < limit).then(|| offset.wrapping_add(word(stack::HOST)))
}

/// Makes the stack's entry as generated code does.
fn copy_to_stack(tlb: &Tlb, write: bool, linear: u64) {
    let from = tlb.base(1) + if write { WRITE } else { 0 };
    let from = from + ((linear >> 8) as usize & (ENTRIES - 1) << 4);
    let to = tlb.base(1) + stack::place(write) as usize;
    // SAFETY: inside of the table, of which nobody has a reference.
    unsafe {
        let entry = *(from as *const Entry);
        *((to + stack::START) as *mut u64) = entry.tag;
        *((to + stack::HOST) as *mut u64) = entry.host;
        *((to + stack::DELTA) as *mut u64) = entry.host.wrapping_sub(entry.tag);
        for (number, size) in stack::SIZES.into_iter().enumerate() {
            *((to + stack::LIMITS + 8 * number) as *mut u64) = u64::from(stack::limit(size));
        }
    }
}

#[test]
fn the_stack_entry_goes_with_what_it_is_a_copy_of() {
    let mut tlb = tlb();
    let page = 0x7fff_1234_5000;
    let found =
        |tlb: &Tlb| [false, true].map(|write| find_stack(tlb, write, page + 0x10, 8).is_some());
    let fresh = |tlb: &mut Tlb| {
        tlb.fill(1, page, fill(3));
        copy_to_stack(tlb, false, page);
        copy_to_stack(tlb, true, page);
        assert_eq!(found(tlb), [true, true]);
    };
    assert_eq!(found(&tlb), [false, false]);
    fresh(&mut tlb);
    for (offset, bytes, fits) in [(0xff8, 8, true), (0xff9, 8, false), (0xe00, 512, true)] {
        let hit = find_stack(&tlb, false, page + offset, bytes).is_some();
        assert_eq!(hit, fits, "{offset:#x} {bytes}");
    }
    go_with_their_page(&mut tlb, page, found, fresh, [true, false]);
}

/// Copies of a page's entries for reads and for writes are gone when what they are copies of is, and not before; `kept` is
/// what is left of them when only writes are dropped.
fn go_with_their_page(
    tlb: &mut Tlb,
    page: u64,
    found: impl Fn(&Tlb) -> [bool; 2],
    fresh: impl Fn(&mut Tlb),
    kept: [bool; 2],
) {
    // Other pages are nothing to them.
    tlb.fill(1, page + 0x1000, fill(4));
    tlb.drop_page(1, page + 0x1000);
    tlb.drop_writes_to(Offset(4 << PAGE_SHIFT));
    assert_eq!(found(tlb), [true, true]);
    tlb.drop_writes_to(Offset(3 << PAGE_SHIFT));
    assert_eq!(found(tlb), kept);
    let drops: [fn(&mut Tlb, u64); 3] = [
        |tlb, page| tlb.drop_page(1, page),
        |tlb, _| tlb.drop_local(1),
        // Another page in the same slot
        |tlb, page| tlb.fill(1, page + ((ENTRIES as u64) << PAGE_SHIFT), fill(5)),
    ];
    for drop in drops {
        fresh(tlb);
        drop(tlb, page);
        assert_eq!(found(tlb), [false, false]);
    }
}

/// What an instruction's entry of table 1 has for a range of eight bytes.
fn find_site(tlb: &Tlb, place: usize, linear: u64) -> Option<u64> {
    let at = tlb.base(1) + place;
    // SAFETY: inside of the table.
    let word = |part: usize| unsafe { *((at + part) as *const u64) };
    let offset = linear.wrapping_sub(word(site::START));
    let found = (offset < word(site::LIMIT)).then(|| offset.wrapping_add(word(site::HOST)));
    // Code that compares with one page finds the same in the first one.
    let narrow = offset <= 4096 - 8;
    assert_eq!(narrow, found.is_some() && narrow, "{linear:#x}");
    found
}

/// Makes an instruction's entry as generated code does.
fn copy_to_site(tlb: &Tlb, place: usize, write: bool, linear: u64) {
    let table = tlb.base(1);
    let from = table + if write { WRITE } else { 0 };
    let from = from + ((linear >> 8) as usize & (ENTRIES - 1) << 4);
    let kind = (linear >> PAGE_SHIFT) as usize & site::KIND as usize;
    // SAFETY: inside of the table, of which nobody has a reference.
    unsafe {
        let entry = *(from as *const Entry);
        *((table + place + site::START) as *mut u64) = entry.tag;
        *((table + place + site::HOST) as *mut u64) = entry.host;
        *((table + place + site::LIMIT) as *mut u64) = u64::from(stack::limit(8));
        *((table + site::COPIED + kind) as *mut u8) = 1;
        let count = (table + site::USED_COUNT) as *mut u64;
        *((table + site::USED) as *mut u32).add(*count as usize) = place as u32;
        *count += 1;
    }
}

#[test]
fn the_entries_of_instructions_go_with_what_they_are_copies_of() {
    let mut tlb = tlb();
    let page = 0x5555_1234_5000;
    let places = [false, true].map(|write| site::place(7, 8, write) as usize);
    let found = |tlb: &Tlb| places.map(|place| find_site(tlb, place, page + 0x10).is_some());
    let fresh = |tlb: &mut Tlb| {
        tlb.fill(1, page, fill(3));
        copy_to_site(tlb, places[0], false, page);
        copy_to_site(tlb, places[1], true, page);
        assert_eq!(found(tlb), [true, true]);
    };
    assert_eq!(found(&tlb), [false, false]);
    fresh(&mut tlb);
    for (offset, fits) in [(0xff8, true), (0xff9, false), (0x1000, false)] {
        let hit = find_site(&tlb, places[0], page + offset).is_some();
        assert_eq!(hit, fits, "{offset:#x}");
    }
    go_with_their_page(&mut tlb, page, found, fresh, [false, false]);
    // A page that may not be written
    let readable = Fill {
        write: false,
        ..fill(3)
    };
    tlb.fill(1, page, readable);
    copy_to_site(&tlb, places[0], false, page);
    assert_eq!(found(&tlb), [true, false]);
    tlb.drop_page(1, page);
    assert_eq!(found(&tlb), [false, false]);
}

#[test]
fn empty_entries_of_instructions_have_no_page_that_an_access_may_find() {
    let mut tlb = tlb();
    let starts = |tlb: &Tlb, numbers: std::ops::Range<u32>| -> Vec<u64> {
        let places = numbers.flat_map(|number| {
            let kinds = stack::SIZES
                .into_iter()
                .zip([false, true].into_iter().cycle());
            kinds.map(move |(bytes, write)| site::place(number, bytes, write) as usize)
        });
        let at = tlb.base(1) + site::START;
        // SAFETY: inside of the table.
        places
            .map(|place| unsafe { *((at + place) as *const u64) })
            .collect()
    };
    let is_empty = |start: u64| {
        let canonical = (start << 16) as i64 >> 16;
        start != canonical as u64 && start.is_multiple_of(PAGE_SIZE)
    };
    assert!(starts(&tlb, 0..200).into_iter().all(is_empty));
    // More than there are, and a table that is selected later
    tlb.select(1, 0);
    tlb.reserve_sites(&[5000; 8]);
    assert!(starts(&tlb, 0..992).into_iter().all(is_empty));
    tlb.select(1, 1);
    assert!(starts(&tlb, 0..992).into_iter().all(is_empty));
    let place = site::place(3, 8, false) as usize;
    tlb.fill(1, 0, fill(3));
    copy_to_site(&tlb, place, false, 0);
    assert!(find_site(&tlb, place, 8).is_some());
    tlb.drop_all(1);
    assert!(starts(&tlb, 3..4).into_iter().all(is_empty));
}

#[test]
fn each_instruction_has_its_entry_by_size_and_kind() {
    let mut seen = std::collections::HashSet::new();
    for number in 0..500 {
        for bytes in stack::SIZES {
            for write in [false, true] {
                let place = site::place(number, bytes, write) as usize;
                assert!(seen.insert(place), "{number} {bytes} {write}");
                assert!(place.is_multiple_of(16) && place + 32 <= size_of::<Table>());
            }
        }
    }
    assert_eq!(site::place(5, 1, false), site::place(5, 8, false));
}

/// Has an instruction's entry of table 1 reach as far as it may.
fn widen(tlb: &mut Tlb, place: usize, linear: u64) {
    tlb.widen(Wandered {
        table: tlb.base(1),
        place: place as u32,
        linear,
    });
}

/// The word that an instruction's entry leads to.
fn word(tlb: &Tlb, place: usize, linear: u64) -> Option<u64> {
    // SAFETY: an entry leads to RAM.
    find_site(tlb, place, linear).map(|at| unsafe { *(at as *const u64) })
}

/// Pages that lie side by side in RAM and others that do not: where each of seven is.
const SIDE_BY_SIDE: [u64; 7] = [20, 21, 22, 23, 24, 25, 26];
const SCATTERED: [u64; 7] = [3, 9, 10, 2, 40, 7, 8];

/// The word that the stack's entry leads to.
fn stack_word(tlb: &Tlb, place: usize, linear: u64) -> Option<u64> {
    let write = place as u32 == stack::place(true);
    // SAFETY: an entry leads to RAM.
    find_stack(tlb, write, linear, 8).map(|at| unsafe { *(at as *const u64) })
}

#[test]
fn an_entry_of_an_instruction_reaches_over_all_pages_that_are_cached() {
    let places = [false, true].map(|write| site::place(7, 8, write) as usize);
    reaches_over_all_pages(places, word);
}

#[test]
fn the_stack_entry_reaches_over_all_pages_that_are_cached() {
    reaches_over_all_pages(
        [false, true].map(|write| stack::place(write) as usize),
        stack_word,
    );
}

/// Copies of entries for reads and for writes, at two places, reach over the pages that are cached, and no farther.
fn reaches_over_all_pages(places: [usize; 2], word: fn(&Tlb, usize, u64) -> Option<u64>) {
    let first = 0x5555_1234_0000;
    let linear = |number: u64| first + (number << PAGE_SHIFT);
    for pages in [SIDE_BY_SIDE, SCATTERED] {
        let mut tlb = tlb();
        let put = |tlb: &mut Tlb, number: u64, page: u64| {
            // The first words of a page, and the last, tell which it is.
            tlb.ram.store(Offset(page << PAGE_SHIFT), page);
            let last = Offset((page << PAGE_SHIFT) + 0xffc);
            tlb.ram.store(last, (page as u32).wrapping_mul(3));
            tlb.fill(1, linear(number), fill(page));
        };
        (0..)
            .zip(pages)
            .for_each(|(number, page)| put(&mut tlb, number, page));
        // How many mappings it takes is nobody's business here.
        let reach = |tlb: &mut Tlb| {
            (0..8).for_each(|_| {
                places
                    .iter()
                    .for_each(|&place| widen(tlb, place, linear(3)));
            })
        };
        reach(&mut tlb);
        for place in places {
            for (number, page) in (0..).zip(pages) {
                assert_eq!(word(&tlb, place, linear(number)), Some(page));
            }
            for (number, next) in (0..).zip(&pages[1..]) {
                let across = word(&tlb, place, linear(number) + 0xffc);
                assert_eq!(across, Some((pages[number as usize] * 3) | (next << 32)));
            }
            for beyond in [first - 8, first - 1, linear(7) - 7, linear(7)] {
                assert_eq!(word(&tlb, place, beyond), None, "{beyond:#x}");
            }
        }
        // It goes with any of its pages.
        for number in 0..7 {
            tlb.drop_page(1, linear(number));
            assert!(
                places
                    .iter()
                    .all(|&place| word(&tlb, place, linear(3)).is_none())
            );
            put(&mut tlb, number, pages[number as usize]);
            reach(&mut tlb);
        }
        // Another page comes to be there.
        put(&mut tlb, 5, 50);
        assert!(
            places
                .iter()
                .all(|&place| word(&tlb, place, linear(3)).is_none())
        );
        reach(&mut tlb);
        assert_eq!(
            places.map(|place| word(&tlb, place, linear(5))),
            [Some(50); 2]
        );
        // One may not be written any more.
        tlb.drop_writes_to(Offset(pages[4] << PAGE_SHIFT));
        reach(&mut tlb);
        assert_eq!(
            places.map(|place| word(&tlb, place, linear(4))),
            [Some(pages[4]), None]
        );
        assert_eq!(
            places.map(|place| word(&tlb, place, linear(3))),
            [Some(pages[3]); 2]
        );
        assert_eq!(
            places.map(|place| word(&tlb, place, linear(5))),
            [Some(50), None]
        );
    }
}

#[test]
fn entries_leave_a_window_that_is_made_another_one() {
    let mut tlb = tlb();
    for page in 0..64 {
        tlb.ram.store(Offset(page << PAGE_SHIFT), page);
    }
    let place = |number: u64| site::place(number as u32 % 200, 8, false) as usize;
    let linear = |number: u64| 0x5555_0000_0000 + number * window::BYTES;
    let pages = |number: u64| [3, 1, 2].map(|page| (number * 7 + page) % 64);
    // More than there are windows, and than they may have mappings
    let many = 1100;
    assert!(many > window::MOST as u64 && 2 * many > window::MOST_MAPPINGS as u64);
    for number in 0..many {
        for (at, page) in (linear(number)..).step_by(4096).zip(pages(number)) {
            tlb.fill(1, at, fill(page));
        }
        widen(&mut tlb, place(number), linear(number));
        assert_eq!(
            word(&tlb, place(number), linear(number)),
            Some(pages(number)[0])
        );
        // The stack's entry stays for a while.
        if number % 100 == 0 {
            let stack = stack::place(false) as usize;
            widen(&mut tlb, stack, linear(number));
            assert_eq!(
                stack_word(&tlb, stack, linear(number)),
                Some(pages(number)[0])
            );
        }
        for before in number.saturating_sub(200)..number {
            for (at, page) in (linear(before)..).step_by(4096).zip(pages(before)) {
                let found = word(&tlb, place(before), at);
                assert!(found.is_none_or(|found| found == page), "{before} {at:#x}");
                let found = stack_word(&tlb, stack::place(false) as usize, at);
                assert!(found.is_none_or(|found| found == page), "{before} {at:#x}");
            }
        }
    }
}
