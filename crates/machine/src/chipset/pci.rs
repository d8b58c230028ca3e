//! The PCI bus: its windows on the machine's bus, and its host bridge.

use std::sync::{Arc, Mutex};

use device::pci::{
    Address, CONFIG_PORTS, CONFIG_PORTS_LENGTH, ConfigPorts, ECAM_LENGTH, Ecam, HostBridge,
    PIC_IRQS, Root, Window,
};
use device::{IoApic, Pic};
use iface::Space;

use super::shared;
use super::wiring::Wiring;
use crate::intx::ioapic_pin;
use crate::layout::{
    ECAM, PCI_PORTS, PCI_WINDOW, PCI_WINDOW_64, PCI_WINDOW_64_LEN, PCI_WINDOW_LEN,
};

/// Ports that there are.
const PORTS_END: u64 = 0x1_0000;

/// Makes the bus and its host bridge.
pub(super) fn attach(
    wiring: &mut Wiring,
    pic: &Arc<Mutex<Pic>>,
    ioapic: &Arc<Mutex<IoApic>>,
) -> Arc<Root> {
    // The pins of slot 0 are the four wires.
    let pins = [0, 1, 2, 3].map(|pin| IoApic::line(ioapic, ioapic_pin(0, pin)));
    let irqs = PIC_IRQS.map(|irq| Pic::line(pic, irq));
    let root = Arc::new(Root::new(pins, irqs));
    let bridge = Address::new(0, 0).expect("a slot of the bus");
    let attached = root.attach(bridge, Arc::new(Mutex::new(HostBridge::new())));
    attached.expect("the bus is empty");

    let ports = shared(ConfigPorts::new(root.clone()));
    wiring.ports(CONFIG_PORTS, CONFIG_PORTS_LENGTH, 0, &ports);
    let ecam = Arc::new(Ecam::new(root.clone()));
    wiring.claim(Space::Memory, ECAM.0, ECAM_LENGTH, 0, ecam);
    let ports = u64::from(PCI_PORTS);
    for (space, first, len, is_primary) in [
        (Space::Memory, PCI_WINDOW.0, PCI_WINDOW_LEN, true),
        (Space::Memory, PCI_WINDOW_64.0, PCI_WINDOW_64_LEN, false),
        (Space::Port, ports, PORTS_END - ports, false),
    ] {
        let window = Window::new(root.clone(), space, first, is_primary);
        wiring.claim(space, first, len, 0, Arc::new(window));
    }
    root
}
