use crate::mmu::Access;
use crate::testing::{CODE, long};

/// Whether a store to `linear` could be bare.
fn is_bare(cpu: &crate::cpu::Cpu, linear: u64) -> bool {
    let privilege = cpu.mmu.privilege;
    cpu.mmu.probe(privilege, Access::Write, linear, 1).is_some()
}

#[test]
fn decoding_a_page_ends_bare_stores_to_it() {
    // mov al, 1; jmp to itself
    let mut p = long(&[0xb0, 1, 0xeb, 0xfc]);
    let data = CODE + 0x800;
    p.cpu.store(data, 1_u32).unwrap();
    assert!(is_bare(&p.cpu, data));
    assert!(p.cpu.enter_code());
    p.cpu.leave_code();
    p.step(usize::MAX).unwrap();
    assert!(!p.cpu.enter_code(), "it has to be told");
    assert_eq!(p.cpu.take_stale_pages(), [0_u64; 0]);
    assert!(!is_bare(&p.cpu, data));
    // Only the page's version is of interest; the data are beside the code.
    let version = p.cpu.ram.flags().version(CODE >> 12);
    p.cpu.store(data, 2_u32).unwrap();
    assert_ne!(p.cpu.ram.flags().version(CODE >> 12), version);
    assert_eq!(p.cpu.load(data), Ok(2_u32));
    p.cpu.store(data, 3_u32).unwrap();
    assert!(is_bare(&p.cpu, data), "no current code is left");
}

#[test]
fn stores_to_translated_code_name_its_page() {
    let mut p = long(&[0xb0, 1, 0xeb, 0xfc]);
    p.step(usize::MAX).unwrap();
    let page = CODE >> 12;
    let version = p.cpu.ram.flags().version(page);
    assert!(p.cpu.hold_code(page, version));
    assert!(p.cpu.enter_code());
    p.cpu.leave_code();
    p.cpu.store(CODE + 1, 2_u8).unwrap();
    assert!(!p.cpu.enter_code());
    assert_eq!(p.cpu.take_stale_pages(), [page]);
    assert!(p.cpu.enter_code());
    p.cpu.leave_code();
    assert!(!p.cpu.hold_code(page, version));
}

#[test]
fn pages_of_code_and_data_need_no_walk_for_each_store() {
    // inc qword ptr [0x8800]; dec ecx; jnz
    let code = [
        0x48, 0xff, 0x04, 0x25, 0, 0x88, 0, 0, 0xff, 0xc9, 0x75, 0xf4, 0x90,
    ];
    let mut p = long(&code);
    p.cpu.ctx.gpr[x86::state::gpr::RCX] = 1000;
    p.until(CODE + 12).unwrap();
    assert!(p.cpu.mmu.walks < 100, "{} walks", p.cpu.mmu.walks);
    let stores = p.cpu.ram.flags().churn(CODE >> 12);
    assert!(stores > 100, "{stores}");
}
