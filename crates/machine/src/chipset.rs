//! The devices that every machine has, and their wires.
//!
//! ```text
//! UART ─ PIT ─ … ──IRQ──▶ IsaLine ─┬─▶ PIC ────INTR───▶ engine: LINT0
//!                                  └─▶ IOAPIC ──MSI───▶ engine: local APICs
//! ```

use std::sync::{Arc, Mutex};

use device::{Bus, IoApic, IsaLine, Pic, Pit, Uart, ioapic, lock, pic, pit, uart};
use iface::{Action, Char, Clock, Engine, InterruptLine, Msi, MsiSink, Space};

use crate::timer::Deadlines;

/// The bus with its devices, and those that the machine itself talks to.
pub(crate) struct Chipset {
    pub(crate) bus: Bus,
    pub(crate) pic: Arc<Mutex<Pic>>,
    pub(crate) ioapic: Arc<Mutex<IoApic>>,
    pub(crate) serial: Arc<Mutex<Uart>>,
}

/// What a chipset is built around.
pub(crate) struct Parts {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What the first serial port is plugged into.
    pub(crate) serial: Box<dyn Char>,
}

impl Chipset {
    pub(crate) fn new(parts: Parts) -> Self {
        let pic = Arc::new(Mutex::new(Pic::new(Arc::new(Intr(parts.engine.clone())))));
        let sink = Arc::new(Messages(parts.engine));
        let ioapic = Arc::new(Mutex::new(IoApic::new(sink)));
        let irq = |number| IsaLine::new(&pic, &ioapic, number) as Arc<dyn InterruptLine>;
        let clock = parts.clock;
        let pit = Arc::new(Mutex::new(Pit::new(clock.clone(), irq(0))));
        let com1 = Uart::new(clock, irq(uart::IRQS[0]), parts.serial);
        let serial = Arc::new(Mutex::new(com1));

        let mut wiring = Wiring(Bus::new());
        wiring.ports(pic::MASTER, 2, 0, &pic);
        wiring.ports(pic::SLAVE, 2, pic::SLAVE_OFFSET, &pic);
        wiring.ports(pic::ELCR, 2, pic::ELCR_OFFSET, &pic);
        wiring.memory(ioapic::ADDRESS, ioapic::LENGTH, &ioapic);
        wiring.ports(pit::COUNTERS, pit::COUNTERS_LENGTH, 0, &pit);
        wiring.ports(pit::PORT_B, 1, pit::PORT_B_OFFSET, &pit);
        wiring.ports(uart::PORTS[0], uart::LENGTH, 0, &serial);
        Self {
            bus: wiring.0,
            pic,
            ioapic,
            serial,
        }
    }

    /// A local APIC ended a level-triggered interrupt.
    pub(crate) fn end_of_interrupt(&self, vector: u8) {
        lock(&self.ioapic).end_of_interrupt(vector);
    }

    /// A processor accepts the PIC's interrupt.
    pub(crate) fn acknowledge(&self) -> u8 {
        lock(&self.pic).acknowledge()
    }

    /// The serial port's other side became readable or writable.
    pub(crate) fn poll_serial(&self) -> Action {
        lock(&self.serial).poll()
    }
}

impl Deadlines for Chipset {
    fn deadline(&self) -> Option<u64> {
        self.bus.deadline()
    }

    fn expire(&self, now: u64) {
        self.bus.expire(now);
    }
}

/// A bus that is being filled. The memory map is ours, so claims don't overlap.
struct Wiring(Bus);

const NO_OVERLAP: &str = "the machine's own memory map has no overlaps";

impl Wiring {
    fn ports<D: iface::Device + 'static>(
        &mut self,
        first: u64,
        len: u64,
        offset: u64,
        device: &Arc<Mutex<D>>,
    ) {
        let target = Arc::clone(device);
        let claim = self.0.claim_at(Space::Port, first, len, offset, target);
        claim.expect(NO_OVERLAP);
    }

    fn memory<D: iface::Device + 'static>(&mut self, first: u64, len: u64, device: &Arc<Mutex<D>>) {
        let claim = self
            .0
            .claim(Space::Memory, first, len, Arc::clone(device) as _);
        claim.expect(NO_OVERLAP);
    }
}

/// The PIC's output, at LINT0 of the local APICs.
struct Intr(Arc<dyn Engine>);

impl InterruptLine for Intr {
    fn set(&self, level: bool) {
        self.0.set_interrupt_line(level);
    }
}

/// The engine's local APICs, for messages.
struct Messages(Arc<dyn Engine>);

impl MsiSink for Messages {
    fn send(&self, msi: Msi) {
        self.0.send_msi(msi);
    }
}
