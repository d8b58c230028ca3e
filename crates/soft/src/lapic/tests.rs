use iface::Msi;

use super::message::{Delivery, Target};
use super::*;
use crate::alarm::NEVER;

const NOW: u64 = 1_000_000;

/// An APIC that software has enabled.
fn apic(id: u32) -> Lapic {
    let mut lapic = Lapic::new(id);
    store(&mut lapic, reg::SVR, 0x1ff);
    lapic
}

fn store(lapic: &mut Lapic, register: usize, value: u32) -> Effect {
    lapic.store_memory(register as u64 * 16, value, NOW)
}

fn load(lapic: &mut Lapic, register: usize) -> u32 {
    lapic.load_memory(register as u64 * 16, NOW)
}

fn request(lapic: &mut Lapic, vector: u8, level: bool) {
    let (word, bit) = place(vector);
    lapic.accept(word, bit, if level { bit } else { 0 });
}

#[test]
fn delivers_by_priority() {
    let mut lapic = apic(0);
    request(&mut lapic, 0x31, false);
    request(&mut lapic, 0x45, false);
    assert_eq!(lapic.pending(), Some(0x45));
    lapic.acknowledge(0x45);
    assert_eq!((lapic.ppr(), lapic.pending()), (0x40, None));
    request(&mut lapic, 0x4f, false);
    assert_eq!(lapic.pending(), None, "the same class waits");
    request(&mut lapic, 0x50, false);
    assert_eq!(lapic.pending(), Some(0x50));
    assert_eq!(lapic.end(), Effect::None);
    lapic.set_tpr(0x50);
    assert_eq!((lapic.ppr(), lapic.pending()), (0x50, None));
    lapic.set_tpr(0x4f);
    assert_eq!(lapic.pending(), Some(0x50));
}

#[test]
fn tells_the_end_of_level_triggered_interrupts_only() {
    let mut lapic = apic(0);
    for (level, effect) in [(true, Effect::Ended(0x80)), (false, Effect::None)] {
        request(&mut lapic, 0x80, level);
        lapic.acknowledge(0x80);
        assert_eq!(store(&mut lapic, reg::EOI, 0), effect);
    }
    assert_eq!(lapic.end(), Effect::None, "nothing is in service");
}

#[test]
fn takes_nothing_while_software_has_it_disabled() {
    let mut lapic = Lapic::new(0);
    request(&mut lapic, 0x80, false);
    assert!(!lapic.is_requested());
    store(&mut lapic, reg::LVT_TIMER, 0x80);
    assert_eq!(load(&mut lapic, reg::LVT_TIMER), 0x80 | MASKED);
}

#[test]
fn counts_down_once_and_periodically() {
    let mut lapic = apic(0);
    store(&mut lapic, reg::DIVIDE, 0b0011); // by 16
    store(&mut lapic, reg::LVT_TIMER, 0x40);
    store(&mut lapic, reg::INITIAL_COUNT, 100_000);
    assert_eq!(lapic.timer.deadline, NOW + 1_600_000);
    assert_eq!(lapic.current_count(NOW + 800_000), 50_000);
    lapic.expire(NOW + 1_599_999);
    assert!(!lapic.is_requested());
    lapic.expire(NOW + 1_600_000);
    assert_eq!(lapic.pending(), Some(0x40));
    assert_eq!(lapic.timer.deadline, NEVER);
    lapic.acknowledge(0x40);
    lapic.end();

    store(&mut lapic, reg::LVT_TIMER, 0x40 | 1 << 17);
    store(&mut lapic, reg::INITIAL_COUNT, 100_000);
    lapic.expire(NOW + 1_600_000 * 3 + 5);
    assert_eq!(lapic.pending(), Some(0x40));
    assert_eq!(
        lapic.timer.deadline,
        NOW + 1_600_000 * 4,
        "missed periods are lost"
    );
    store(&mut lapic, reg::INITIAL_COUNT, 0);
    assert_eq!(lapic.timer.deadline, NEVER);
}

#[test]
fn divides_by_1_to_128() {
    let mut lapic = apic(0);
    for (code, by) in [
        (0b1011, 1),
        (0, 2),
        (1, 4),
        (2, 8),
        (3, 16),
        (8, 32),
        (9, 64),
        (10, 128),
    ] {
        store(&mut lapic, reg::DIVIDE, code);
        store(&mut lapic, reg::INITIAL_COUNT, 1000);
        assert_eq!(lapic.timer.deadline, NOW + 1000 * by);
    }
}

#[test]
fn a_new_divider_keeps_the_count() {
    let mut lapic = apic(0);
    store(&mut lapic, reg::DIVIDE, 0b1011);
    store(&mut lapic, reg::INITIAL_COUNT, 500_000);
    store(&mut lapic, reg::DIVIDE, 0b0011);
    assert_eq!(load(&mut lapic, reg::CURRENT_COUNT), 500_000);
}

#[test]
fn a_change_to_deadlines_disarms() {
    let mut lapic = apic(0);
    store(&mut lapic, reg::INITIAL_COUNT, 500_000);
    store(&mut lapic, reg::LVT_TIMER, 0x40 | 2 << 17);
    assert_eq!(lapic.timer.deadline, NEVER);
    store(&mut lapic, reg::INITIAL_COUNT, 500_000);
    assert_eq!(lapic.timer.deadline, NEVER, "the count means nothing now");
    lapic.set_tsc_deadline(77, Some(NOW + 5));
    lapic.expire(NOW + 5);
    assert_eq!((lapic.pending(), lapic.timer.tsc_deadline), (Some(0x40), 0));
}

#[test]
fn reports_errors_once_they_are_asked_for() {
    let mut lapic = apic(0);
    store(&mut lapic, reg::LVT_ERROR, 0x60);
    assert_eq!(store(&mut lapic, reg::ICR, 0x0f), Effect::None);
    assert_eq!(load(&mut lapic, reg::ESR), 0, "not before it is written");
    assert_eq!(lapic.pending(), Some(0x60));
    store(&mut lapic, reg::ESR, 0);
    assert_eq!(load(&mut lapic, reg::ESR), error::SEND_VECTOR);
    load(&mut lapic, 0x2c);
    store(&mut lapic, reg::ESR, 0);
    assert_eq!(load(&mut lapic, reg::ESR), error::REGISTER);
}

#[test]
fn sends_what_the_icr_says() {
    let mut lapic = apic(0);
    store(&mut lapic, reg::ICR_HIGH, 3 << 24);
    let fixed = Delivery::Fixed {
        vector: 0x55,
        level: false,
    };
    let cases = [
        (0x55, Target::Physical { id: 3, wide: false }, fixed),
        (
            0x855,
            Target::Logical {
                set: 3,
                wide: false,
            },
            fixed,
        ),
        (0x4_0055, Target::Own, fixed),
        (0x8_0055, Target::All, fixed),
        (0xc_0055, Target::Others, fixed),
        (0xc_4500, Target::Others, Delivery::Init),
        (0xc_4608, Target::Others, Delivery::Startup { vector: 8 }),
        (0x4_0400, Target::Own, Delivery::Nmi),
    ];
    for (icr, target, delivery) in cases {
        let message = Message { target, delivery };
        assert_eq!(store(&mut lapic, reg::ICR, icr), Effect::Send(message));
    }
    assert_eq!(
        store(&mut lapic, reg::ICR, 0xc_8500),
        Effect::None,
        "INIT de-assert"
    );
}

#[test]
fn changes_modes_as_hardware_does() {
    let mut lapic = apic(5);
    let base = lapic.base();
    assert!(
        !lapic.set_base(base & !BASE_ENABLE | BASE_X2APIC),
        "x2APIC, disabled"
    );
    assert!(lapic.set_base(base | BASE_X2APIC));
    assert_eq!(lapic.read_msr(reg::ID, NOW), Ok(5));
    assert_eq!(lapic.read_msr(reg::LDR, NOW), Ok(1 << 5));
    assert_eq!(lapic.page(), None);
    assert!(!lapic.set_base(base), "back to xAPIC at once");
    assert!(lapic.set_base(base & !BASE_ENABLE));
    assert!(!lapic.set_base(base | BASE_X2APIC), "to x2APIC at once");
    assert!(lapic.set_base(base));
    assert_eq!(load(&mut lapic, reg::ID), 5 << 24);
    assert_eq!(load(&mut lapic, reg::SVR), 0xff, "as after reset");
    assert!(!lapic.set_base(base | 1), "a reserved bit");
}

#[test]
fn x2apic_refuses_what_is_reserved() {
    let mut lapic = apic(0);
    assert!(lapic.set_base(lapic.base() | BASE_X2APIC));
    let refused = [
        (reg::ID, 0),
        (reg::VERSION, 0),
        (reg::TPR, 0x100),
        (reg::EOI, 1),
        (reg::LDR, 0),
        (reg::DFR, 0),
        (reg::SVR, 0x1000),
        (reg::ISR, 0),
        (reg::ICR_HIGH, 0),
        (reg::LVT_TIMER, 1 << 32),
        (reg::DIVIDE, 4),
        (reg::SELF_IPI, 0x100),
        (0x29, 0),
        (0x2f, 0),
    ];
    for (register, value) in refused {
        assert!(
            lapic.write_msr(register, value, NOW).is_err(),
            "{register:#x}"
        );
    }
    for register in [
        reg::EOI,
        reg::DFR,
        reg::ICR_HIGH,
        reg::SELF_IPI,
        0x29,
        0x2f,
        0x3d,
    ] {
        assert!(lapic.read_msr(register, NOW).is_err(), "{register:#x}");
    }
    let effect = lapic
        .write_msr(reg::ICR, 0x7_0000_0031, NOW)
        .expect("it is well-formed");
    let target = Target::Physical { id: 7, wide: true };
    let delivery = Delivery::Fixed {
        vector: 0x31,
        level: false,
    };
    assert_eq!(effect, Effect::Send(Message { target, delivery }));
    assert_eq!(lapic.read_msr(reg::ICR, NOW), Ok(0x7_0000_0031));
}

#[test]
fn knows_who_is_meant() {
    let address = |logical, flat, x2apic| Address {
        logical,
        flat,
        enabled: true,
        x2apic,
        accepts: true,
        lint0_open: false,
    };
    let flat = address(4 << 24, true, false);
    let cluster = address(0x24 << 24, false, false);
    let wide = address(1 << 16 | 4, false, true);
    let logical = |set| Target::Logical { set, wide: false };
    let logical_wide = |set| Target::Logical { set, wide: true };
    assert!(flat.is_meant(2, logical(6)) && !flat.is_meant(2, logical(3)));
    assert!(cluster.is_meant(2, logical(0x24)) && cluster.is_meant(2, logical(0xff)));
    assert!(!cluster.is_meant(2, logical(0x14)) && !cluster.is_meant(2, logical(0x28)));
    assert!(wide.is_meant(18, logical_wide(1 << 16 | 6)) && !wide.is_meant(18, logical_wide(6)));
    assert!(wide.is_meant(18, logical_wide(u32::MAX)));
    let physical = |id, wide| Target::Physical { id, wide };
    assert!(flat.is_meant(2, physical(2, false)) && !flat.is_meant(2, physical(3, false)));
    assert!(flat.is_meant(2, physical(0xff, false)) && wide.is_meant(18, physical(0xff, false)));
    assert!(
        wide.is_meant(18, physical(u32::MAX, true)) && !wide.is_meant(18, physical(0xff, true))
    );
    for packed in [flat, cluster, wide, Address::default()] {
        assert_eq!(Address::unpack(packed.pack()), packed);
    }
}

#[test]
fn reads_messages() {
    let address = 0xfee0_0000 | 0x1f << 12;
    let message = |address, data| Message::from_msi(Msi { address, data });
    let fixed = Message {
        target: Target::Physical {
            id: 0x1f,
            wide: false,
        },
        delivery: Delivery::Fixed {
            vector: 0x44,
            level: true,
        },
    };
    assert_eq!(message(address, 0xc044), Some(fixed));
    let lowest = Message {
        target: Target::Logical {
            set: 0x1f,
            wide: false,
        },
        delivery: Delivery::Lowest {
            vector: 0x44,
            level: false,
        },
    };
    assert_eq!(message(address | 0xc, 0x44), Some(lowest));
    assert_eq!(message(address, 0x244), None, "SMI");
}

#[test]
fn wires_the_pic_through_lint0() {
    let mut lapic = apic(0);
    assert!(!lapic.accepts_pic());
    store(&mut lapic, reg::LVT_LINT0, 0x700);
    assert!(lapic.accepts_pic() && lapic.address().lint0_open);
    store(&mut lapic, reg::LVT_LINT0, 0x42);
    assert_eq!((lapic.accepts_pic(), lapic.lint0()), (false, Local::Done));
    assert_eq!(lapic.pending(), Some(0x42));
    store(&mut lapic, reg::LVT_LINT1, 0x400);
    assert_eq!(lapic.lint1(), Local::Nmi);
    assert!(lapic.set_base(lapic.base() & !BASE_ENABLE));
    assert!(lapic.accepts_pic());
    assert_eq!(lapic.lint1(), Local::Nmi);
}

#[test]
fn survives_saving() {
    let mut lapic = apic(3);
    store(&mut lapic, reg::INITIAL_COUNT, 500_000);
    request(&mut lapic, 0x99, true);
    let state = lapic.save(NOW + 10);
    let mut other = Lapic::new(3);
    other.load(&state, 50);
    assert_eq!(other.save(50), state);
    assert_eq!(other.timer.deadline, 50 + 1_000_000 - 10);
}
