use mem::Gpa;
use x86::cr::{cr0, cr4, efer};
use x86::exception::page_fault;
use x86::paging::{ACCESSED, DIRTY, GLOBAL, LARGE, NO_EXECUTE, PRESENT, USER, WRITABLE};

use crate::cpu::Cpu;
use crate::mmu::{Access, Privilege};
use crate::trap::Trap;

const TABLES: u64 = 0x10_0000;
const ALL: u64 = PRESENT | WRITABLE | USER;

fn put(cpu: &Cpu, at: u64, value: u64) {
    let written = cpu.ram.write(Gpa(at), &value.to_le_bytes());
    written.expect("inside the test's RAM");
}

fn get(cpu: &Cpu, at: u64) -> u64 {
    cpu.read_physical(Gpa(at))
}

/// Four levels for the first 2 MiB, each a page of its own; `leaf` is the entry of page 5.
fn long(leaf: u64) -> Cpu {
    let (mut cpu, _) = crate::testing::cpu();
    for level in 0..3 {
        put(
            &cpu,
            TABLES + 0x1000 * level,
            (TABLES + 0x1000 * (level + 1)) | ALL,
        );
    }
    put(&cpu, LEAF, leaf);
    cpu.cr0 |= cr0::PE | cr0::PG | cr0::WP;
    cpu.cr4 = cr4::PAE;
    cpu.efer = efer::LMA | efer::LME | efer::NXE;
    cpu.cr3 = TABLES;
    cpu.refresh_mode();
    cpu
}

const LEAF: u64 = TABLES + 0x3000 + 5 * 8;
const PAGE: u64 = 0x5000;

fn error(trap: Result<Gpa, Trap>) -> u32 {
    let trap = trap.expect_err("a page fault");
    trap.exception().expect("a page fault").error
}

#[test]
fn bits_are_set_by_what_succeeds() {
    let mut cpu = long(0x7000 | ALL);
    let walked = cpu.walk(PAGE + 9, Access::Read, Privilege::User);
    assert_eq!(walked, Ok(Gpa(0x7009)));
    assert_eq!(get(&cpu, LEAF), 0x7000 | ALL | ACCESSED);
    for level in 0..3 {
        assert_ne!(get(&cpu, TABLES + 0x1000 * level) & ACCESSED, 0);
    }
    let at = |cpu: &Cpu, access| cpu.mmu.probe(Privilege::User, access, PAGE, 8);
    assert!(at(&cpu, Access::Read).is_some());
    assert!(
        at(&cpu, Access::Write).is_none(),
        "clean: the walk marks it"
    );
    cpu.walk(PAGE, Access::Write, Privilege::User)
        .expect("it is writable");
    assert_eq!(get(&cpu, LEAF), 0x7000 | ALL | ACCESSED | DIRTY);
    assert!(at(&cpu, Access::Write).is_some());
}

#[test]
fn a_refused_access_leaves_the_leaf_alone() {
    let mut cpu = long(0x7000 | PRESENT | USER);
    let refused = cpu.walk(PAGE, Access::Write, Privilege::User);
    let bits = page_fault::PRESENT | page_fault::WRITE | page_fault::USER;
    assert_eq!(error(refused), bits);
    assert_eq!(cpu.fault_address, PAGE);
    assert_eq!(get(&cpu, LEAF), 0x7000 | PRESENT | USER);
}

#[test]
fn rights_by_privilege() {
    let user = 0x7000 | ALL | NO_EXECUTE;
    let mut cpu = long(user);
    cpu.cr4 |= cr4::SMAP | cr4::SMEP;
    let present = page_fault::PRESENT;
    for (access, privilege, expected) in [
        (Access::Read, Privilege::User, None),
        (Access::Write, Privilege::User, None),
        (
            Access::Fetch,
            Privilege::User,
            Some(present | page_fault::USER | page_fault::FETCH),
        ),
        (Access::Read, Privilege::Supervisor, Some(present)),
        (Access::Read, Privilege::SupervisorAll, None),
        (
            Access::Fetch,
            Privilege::SupervisorAll,
            Some(present | page_fault::FETCH),
        ),
    ] {
        let walked = cpu.walk(PAGE, access, privilege);
        match expected {
            None => assert!(walked.is_ok(), "{access:?} {privilege:?}"),
            Some(bits) => assert_eq!(error(walked), bits, "{access:?} {privilege:?}"),
        }
    }
}

#[test]
fn write_protection_holds_supervisors_by_wp() {
    let mut cpu = long(0x7000 | PRESENT);
    let refused = cpu.walk(PAGE, Access::Write, Privilege::SupervisorAll);
    assert_eq!(error(refused), page_fault::PRESENT | page_fault::WRITE);
    cpu.cr0 &= !cr0::WP;
    let walked = cpu.walk(PAGE, Access::Write, Privilege::SupervisorAll);
    assert_eq!(walked, Ok(Gpa(0x7000)));
    // Other accesses to the page may use what was cached, but not the user's.
    assert!(
        cpu.mmu
            .probe(Privilege::User, Access::Read, PAGE, 1)
            .is_none()
    );
}

#[test]
fn reserved_bits_fault_where_they_are_met() {
    let reserved = page_fault::PRESENT | page_fault::RESERVED;
    let mut cpu = long(0x7000 | ALL | 1 << 50);
    let walked = cpu.walk(PAGE, Access::Read, Privilege::SupervisorAll);
    assert_eq!(error(walked), reserved);
    // An absent entry has none.
    let mut cpu = long(0x7000 | 1 << 50);
    let walked = cpu.walk(PAGE, Access::Read, Privilege::SupervisorAll);
    assert_eq!(error(walked), 0);
    // PS in the uppermost level
    let mut cpu = long(0x7000 | ALL);
    put(&cpu, TABLES, (TABLES + 0x1000) | ALL | LARGE);
    let walked = cpu.walk(PAGE, Access::Read, Privilege::SupervisorAll);
    assert_eq!(error(walked), reserved);
    // An address bit within a large page
    put(&cpu, TABLES, (TABLES + 0x1000) | ALL);
    put(&cpu, TABLES + 0x2000, 0x2000 | ALL | LARGE);
    let walked = cpu.walk(PAGE, Access::Read, Privilege::SupervisorAll);
    assert_eq!(error(walked), reserved);
    put(&cpu, TABLES + 0x2000, 0x20_0000 | ALL | LARGE | GLOBAL);
    let walked = cpu.walk(PAGE + 1, Access::Read, Privilege::SupervisorAll);
    assert_eq!(walked, Ok(Gpa(0x20_5001)));
}

#[test]
fn legacy_large_pages_reach_beyond_4_gib() {
    let (mut cpu, _) = crate::testing::cpu();
    cpu.cr0 |= cr0::PE | cr0::PG;
    cpu.cr4 = cr4::PSE;
    cpu.cr3 = TABLES;
    cpu.refresh_mode();
    let entry = 0x40_0000 | 3 << 13 | ALL | LARGE;
    cpu.ram
        .write(Gpa(TABLES), &(entry as u32).to_le_bytes())
        .expect("inside the test's RAM");
    let walked = cpu.walk(0x12_3456, Access::Read, Privilege::User);
    assert_eq!(walked, Ok(Gpa(0x3_0052_3456)));
    assert_eq!(get(&cpu, TABLES) as u32, entry as u32 | ACCESSED as u32);
}

#[test]
fn beyond_the_canonical_range_is_no_page_fault() {
    let mut cpu = long(0x7000 | ALL);
    let walked = cpu.walk(1 << 47, Access::Read, Privilege::User);
    assert_eq!(walked, Err(Trap::NON_CANONICAL));
}
