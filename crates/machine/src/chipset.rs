//! The devices that every machine has, and their wires.
//!
//! ```text
//! UART ─ PIT ─ … ──IRQ──▶ IsaLine ─┬─▶ PIC ────INTR───▶ engine: LINT0
//!                                  └─▶ IOAPIC ──MSI───▶ engine: local APICs
//! ```

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use device::{
    Acpi, Bus, DebugExit, FastReset, I8042, IoApic, IsaLine, MemorySize, Pic, Pit, Post, Rtc, Uart,
    VgaText, acpi, i8042, ioapic, lock, pic, pit, reset, rtc, uart, vga,
};
use iface::{Action, Char, Clock, Device, Doorbells, Engine, InterruptLine, Msi, MsiSink};

use crate::layout::Layout;
use crate::timer::Deadlines;

mod pci;
mod wiring;

use wiring::Wiring;

/// The bus with its devices, and those that the machine itself talks to.
pub(crate) struct Chipset {
    pub(crate) bus: Bus,
    pub(crate) pci: Arc<device::pci::Root>,
    pic: Arc<Mutex<Pic>>,
    ioapic: Arc<Mutex<IoApic>>,
    serial: Arc<Mutex<Uart>>,
    acpi: Arc<Mutex<Acpi>>,
    screen: Arc<Mutex<VgaText>>,
}

/// What a chipset is built around.
pub(crate) struct Parts {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) layout: Layout,
    /// What the first serial port is plugged into.
    pub(crate) serial: Box<dyn Char>,
    /// Whether there is a debug-exit port.
    pub(crate) debug_exit: bool,
}

impl Chipset {
    pub(crate) fn new(parts: Parts) -> Self {
        let pic = shared(Pic::new(Arc::new(Intr(parts.engine.clone()))));
        let ioapic = shared(IoApic::new(Arc::new(Messages(parts.engine))));
        make_level_triggered(&pic);
        let irq = |number| IsaLine::new(&pic, &ioapic, number) as Arc<dyn InterruptLine>;
        let clock = parts.clock;
        let serial = shared(Uart::new(clock.clone(), irq(uart::IRQS[0]), parts.serial));
        let acpi = shared(Acpi::new(clock.clone(), irq(acpi::SCI)));
        let screen = shared(VgaText::new());

        let mut wiring = Wiring::default();
        wiring.ports(pic::MASTER, 2, 0, &pic);
        wiring.ports(pic::SLAVE, 2, pic::SLAVE_OFFSET, &pic);
        wiring.ports(pic::ELCR, 2, pic::ELCR_OFFSET, &pic);
        wiring.memory(ioapic::ADDRESS, ioapic::LENGTH, 0, &ioapic);
        wiring.ports(uart::PORTS[0], uart::LENGTH, 0, &serial);
        wiring.ports(acpi::PORTS, acpi::LENGTH, 0, &acpi);
        wiring.ports(vga::PORTS, vga::PORTS_LENGTH, 0, &screen);
        wiring.memory(vga::MEMORY, vga::MEMORY_LENGTH, vga::MEMORY_OFFSET, &screen);
        timers(&mut wiring, &clock, parts.layout, irq);
        keyboard_and_resets(&mut wiring, irq);
        if parts.debug_exit {
            let port = shared(DebugExit);
            wiring.ports(reset::DEBUG_EXIT, reset::DEBUG_EXIT_LENGTH, 0, &port);
        }
        let pci = pci::attach(&mut wiring, &pic, &ioapic);
        Self {
            bus: wiring.bus(),
            pci,
            pic,
            ioapic,
            serial,
            acpi,
            screen,
        }
    }

    /// RESET of every device, and what firmware sets up in them.
    pub(crate) fn reset(&self) {
        self.bus.reset();
        make_level_triggered(&self.pic);
    }

    /// A local APIC ended a level-triggered interrupt.
    pub(crate) fn end_of_interrupt(&self, vector: u8) {
        lock(&self.ioapic).end_of_interrupt(vector);
    }

    /// A processor accepts the PIC's interrupt.
    pub(crate) fn acknowledge(&self) -> u8 {
        lock(&self.pic).acknowledge()
    }

    /// Presses the power button.
    pub(crate) fn press_power_button(&self) {
        lock(&self.acpi).press_power_button();
    }

    /// What the text screen shows.
    pub(crate) fn screen(&self) -> String {
        lock(&self.screen).text()
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

fn shared<D: Device>(device: D) -> Arc<Mutex<D>> {
    Arc::new(Mutex::new(device))
}

/// As firmware leaves it: the SCI and the PCI interrupts are level-triggered.
fn make_level_triggered(pic: &Mutex<Pic>) {
    let irqs = [
        acpi::SCI,
        device::pci::PIC_IRQS[0],
        device::pci::PIC_IRQS[1],
    ];
    let mask = irqs.iter().fold(0_u16, |mask, irq| mask | 1 << irq);
    lock(pic).write(pic::ELCR_OFFSET, &mask.to_le_bytes());
}

/// The interval timer and the clock with its memory.
fn timers(
    wiring: &mut Wiring,
    clock: &Arc<dyn Clock>,
    layout: Layout,
    irq: impl Fn(u8) -> Arc<dyn InterruptLine>,
) {
    let pit = shared(Pit::new(clock.clone(), irq(0)));
    wiring.ports(pit::COUNTERS, pit::COUNTERS_LENGTH, 0, &pit);
    wiring.ports(pit::PORT_B, 1, pit::PORT_B_OFFSET, &pit);
    let memory = MemorySize {
        low: layout.low_end().0,
        high: layout.above_4g(),
    };
    let rtc = shared(Rtc::new(clock.clone(), irq(rtc::IRQ), memory));
    wiring.ports(rtc::PORTS, rtc::LENGTH, 0, &rtc);
}

/// The keyboard controller, and the ports of one byte.
fn keyboard_and_resets(wiring: &mut Wiring, irq: impl Fn(u8) -> Arc<dyn InterruptLine>) {
    let keyboard = I8042::new(irq(i8042::KEYBOARD_IRQ), irq(i8042::MOUSE_IRQ));
    let keyboard = shared(keyboard);
    wiring.ports(i8042::DATA, 1, 0, &keyboard);
    wiring.ports(i8042::COMMAND, 1, i8042::COMMAND_OFFSET, &keyboard);
    wiring.ports(reset::FAST_RESET, 1, 0, &shared(FastReset::new()));
    wiring.ports(reset::POST, 1, 0, &shared(Post::default()));
}

/// The PIC's output, at LINT0 of the local APICs.
struct Intr(Arc<dyn Engine>);

impl InterruptLine for Intr {
    fn set(&self, level: bool) {
        self.0.set_interrupt_line(level);
    }
}

/// The engine as devices reach it.
pub(crate) struct Messages(pub(crate) Arc<dyn Engine>);

impl Doorbells for Messages {
    fn connect(&self, address: u64, bell: BorrowedFd<'_>) -> bool {
        self.0.connect_doorbell(address, bell)
    }

    fn disconnect(&self, address: u64, bell: BorrowedFd<'_>) {
        self.0.disconnect_doorbell(address, bell);
    }
}

impl MsiSink for Messages {
    fn send(&self, msi: Msi) {
        self.0.send_msi(msi);
    }
}
