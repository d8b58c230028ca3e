//! The DSDT: what can't be found by looking. Processors, the PCI host bridge, ISA devices, power-off.

use device::acpi::{LENGTH, PM1_EVENT, SLEEP_TYPE_S5};

use super::acpi_port;
use super::aml::{Aml, Value};
use super::resource::Resources;
use super::table::Table;
use crate::intx::{SLOTS, ioapic_pin};
use crate::layout::{
    ECAM, ECAM_LEN, FIRMWARE, IOAPIC, LAPIC, PCI_WINDOW, PCI_WINDOW_64, PCI_WINDOW_64_LEN,
    PCI_WINDOW_LEN, VGA_HOLE,
};

pub(super) fn dsdt(cpus: u32) -> Vec<u8> {
    let mut aml = Aml::default();
    let sleep = u64::from(SLEEP_TYPE_S5);
    aml.name(
        "\\_S5",
        Value::Package([sleep, sleep, 0, 0].map(Value::Integer).into()),
    );
    aml.scope("\\_SB", |aml| {
        for cpu in 0..cpus {
            processor(aml, cpu);
        }
        motherboard(aml);
        aml.device("PCI0", host_bridge);
    });
    let mut table = Table::new(*b"DSDT", 2);
    table.push(&aml.bytes());
    table.finish()
}

fn processor(aml: &mut Aml, cpu: u32) {
    aml.device(&format!("C{cpu:03}"), |aml| {
        aml.name("_HID", Value::Text("ACPI0007"));
        aml.name("_UID", Value::Integer(u64::from(cpu)));
    });
}

/// Addresses that no other device may be given.
fn motherboard(aml: &mut Aml) {
    aml.device("MBRD", |aml| {
        aml.name("_HID", Value::Eisa("PNP0C02"));
        aml.name("_UID", Value::Integer(0));
        let resources = Resources::default()
            .memory(ECAM, ECAM_LEN)
            .memory(IOAPIC, 0x1000)
            .memory(LAPIC, 0x10_0000)
            .ports(acpi_port(PM1_EVENT), LENGTH as u8)
            .ports(0x4d0, 2)
            .ports(0x80, 1)
            .ports(0x92, 1);
        aml.name("_CRS", Value::Resources(resources));
    });
}

fn host_bridge(aml: &mut Aml) {
    aml.name("_HID", Value::Eisa("PNP0A08"));
    aml.name("_CID", Value::Eisa("PNP0A03"));
    for name in ["_UID", "_SEG", "_BBN"] {
        aml.name(name, Value::Integer(0));
    }
    let resources = Resources::default()
        .buses(0..=255)
        .ports(0xcf8, 8)
        .port_window(0..=0xcf7)
        .port_window(0xd00..=0xffff)
        .memory_window(VGA_HOLE, FIRMWARE.0 - VGA_HOLE.0)
        .memory_window(PCI_WINDOW, PCI_WINDOW_LEN)
        .memory_window(PCI_WINDOW_64, PCI_WINDOW_64_LEN);
    aml.name("_CRS", Value::Resources(resources));
    // The system may control every PCI Express feature that it asks for.
    aml.method_returning_argument("_OSC", 4, 3);
    aml.name("_PRT", Value::Package(interrupt_routes()));
    isa_devices(aml);
}

/// For each slot and pin INTA to INTD the IOAPIC's input.
fn interrupt_routes() -> Vec<Value<'static>> {
    let wires = (0..SLOTS).flat_map(|slot| (0..4).map(move |pin| (slot, pin)));
    wires
        .map(|(slot, pin)| {
            let address = u64::from(slot) << 16 | 0xffff;
            let gsi = u64::from(ioapic_pin(slot, pin));
            Value::Package([address, u64::from(pin), 0, gsi].map(Value::Integer).into())
        })
        .collect()
}

fn isa_devices(aml: &mut Aml) {
    let one = |first, len| Resources::default().ports(first, len);
    let devices = [
        ("PIC", "PNP0000", one(0x20, 2).ports(0xa0, 2).irq(2)),
        ("TMR", "PNP0100", one(0x40, 4).irq(0)),
        ("SPKR", "PNP0800", one(0x61, 1)),
        ("RTC", "PNP0B00", one(0x70, 2).irq(8)),
        ("PS2K", "PNP0303", one(0x60, 1).ports(0x64, 1).irq(1)),
        ("PS2M", "PNP0F13", Resources::default().irq(12)),
        ("FPU", "PNP0C04", one(0xf0, 1).irq(13)),
        ("COM1", "PNP0501", one(0x3f8, 8).irq(4)),
    ];
    for (name, id, resources) in devices {
        aml.device(name, |aml| {
            aml.name("_HID", Value::Eisa(id));
            if name == "COM1" {
                aml.name("_UID", Value::Integer(1));
            }
            aml.name("_CRS", Value::Resources(resources));
        });
    }
}
