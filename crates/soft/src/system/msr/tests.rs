use x86::cr::efer;
use x86::msr::{PAT_RESET, number};

use crate::testing;
use crate::trap::GP0;

const NON_CANONICAL: u64 = 1 << 63;

#[test]
fn keeps_what_is_written() {
    let (mut cpu, _) = testing::cpu();
    let values = [
        (number::STAR, u64::MAX),
        (number::LSTAR, 0xffff_8000_0000_1234),
        (number::SFMASK, 0xffff_ffff),
        (number::TSC_AUX, 7),
        (number::SYSENTER_CS, 8),
        (number::SYSENTER_ESP, 0x7fff_ffff_ffff),
        (number::KERNEL_GS_BASE, 0xffff_8000_0000_0000),
        (number::FS_BASE, 0x1000),
        (number::GS_BASE, 0xffff_ffff_ffff_f000),
        (number::PAT, 0x0706_0504_0100_0604),
        (number::MTRR_PHYS_BASE0, 0x1_0000_0006),
        (number::MTRR_PHYS_BASE0 + 15, 0x3fff_8000_0800),
        (number::MTRR_FIX64K_00000, 0x0606_0606_0606_0606),
        (number::MTRR_FIX4K_C0000 + 7, 0x0505_0505_0505_0505),
        (number::MTRR_DEF_TYPE, 0xc06),
        (number::SPEC_CTRL, 0x401),
        (number::TSC_ADJUST, 99),
    ];
    for (msr, value) in values {
        assert_eq!(cpu.write_msr(msr, value), Ok(()), "{msr:#x}");
        assert_eq!(cpu.read_msr(msr), Ok(value), "{msr:#x}");
    }
}

#[test]
fn refuses_what_is_reserved() {
    let (mut cpu, _) = testing::cpu();
    let refused = [
        (number::LSTAR, NON_CANONICAL),
        (number::FS_BASE, NON_CANONICAL),
        (number::KERNEL_GS_BASE, NON_CANONICAL),
        (number::SYSENTER_EIP, NON_CANONICAL),
        (number::SFMASK, 1 << 32),
        (number::TSC_AUX, 1 << 32),
        (number::PAT, 2),
        (number::PAT, 8 << 56),
        (number::MTRR_PHYS_BASE0, 2),
        (number::MTRR_PHYS_BASE0, 1 << 46),
        (number::MTRR_PHYS_BASE0 + 1, 1),
        (number::MTRR_FIX64K_00000, 7),
        (number::MTRR_DEF_TYPE, 0x1000),
        (number::MTRRCAP, 0),
        (number::ARCH_CAPABILITIES, 0),
        (number::FEATURE_CONTROL, 5),
        (number::SPEC_CTRL, 4),
        (number::PRED_CMD, 2),
        (number::EFER, 1 << 9),
        (number::APIC_BASE, 1),
        (number::KVM_STEAL_TIME, 3),
        (number::X2APIC_FIRST + 0x30, 0),
        (0xc001_0015, 0),
    ];
    for (msr, value) in refused {
        assert_eq!(cpu.write_msr(msr, value), Err(GP0), "{msr:#x}");
    }
    assert_eq!(cpu.read_msr(number::PAT), Ok(PAT_RESET));
    for msr in [number::PRED_CMD, number::X2APIC_FIRST + 2, 0x140, 0xcd] {
        assert_eq!(cpu.read_msr(msr), Err(GP0), "{msr:#x}");
    }
}

#[test]
fn lma_is_not_for_guests_and_lme_not_under_paging() {
    let (mut cpu, _) = testing::cpu();
    assert_eq!(cpu.write_msr(number::EFER, efer::ALL), Ok(()));
    assert_eq!(cpu.read_msr(number::EFER), Ok(efer::ALL & !efer::LMA));
    cpu.cr0 |= x86::cr::cr0::PG | x86::cr::cr0::PE;
    assert_eq!(cpu.write_msr(number::EFER, 0), Err(GP0));
}

#[test]
fn writing_the_tsc_moves_it_and_its_adjustment() {
    let (mut cpu, _) = testing::cpu();
    let before = cpu.tsc();
    assert_eq!(cpu.write_msr(number::TSC, before + (1 << 50)), Ok(()));
    assert!(cpu.tsc() >= before + (1 << 50));
    let adjust = cpu.read_msr(number::TSC_ADJUST).expect("it exists");
    assert!(adjust <= 1 << 50 && adjust > (1 << 50) - (1 << 40));
    assert_eq!(cpu.write_msr(number::TSC_ADJUST, 0), Ok(()));
    assert!(cpu.tsc() - before < 1 << 40);
}
