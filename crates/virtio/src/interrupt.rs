//! How a device tells its driver: MSI-X, or the ISR register and an interrupt pin (4.1.4.5).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use device::lock;
use device::pci::Msix;
use iface::InterruptLine;

/// No vector is mapped.
pub(crate) const NO_VECTOR: u16 = 0xffff;

const ISR_QUEUE: u8 = 1 << 0;
const ISR_CONFIG: u8 = 1 << 1;

/// The interrupts of one device; shared by its function and its workers.
pub struct Interrupt {
    name: &'static str,
    msix: Arc<Msix>,
    /// The pin's wire; INTx is as the command register allows.
    pin: Mutex<Pin>,
    config_vector: AtomicU16,
    queue_vectors: Vec<AtomicU16>,
    generation: AtomicU8,
    needs_reset: AtomicBool,
}

struct Pin {
    line: Arc<dyn InterruptLine>,
    isr: u8,
    allowed: bool,
}

impl Pin {
    fn drive(&self) {
        self.line.set(self.isr != 0 && self.allowed);
    }
}

impl Interrupt {
    pub(crate) fn new(
        name: &'static str,
        msix: Arc<Msix>,
        line: Arc<dyn InterruptLine>,
        queues: usize,
    ) -> Self {
        let vector = || AtomicU16::new(NO_VECTOR);
        Self {
            name,
            msix,
            pin: Mutex::new(Pin {
                line,
                isr: 0,
                allowed: true,
            }),
            config_vector: vector(),
            queue_vectors: (0..queues).map(|_| vector()).collect(),
            generation: AtomicU8::new(0),
            needs_reset: AtomicBool::new(false),
        }
    }

    /// The device's name, for the log.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// A queue has something for the driver.
    pub(crate) fn queue(&self, index: u16) {
        let vector = self.queue_vectors.get(usize::from(index));
        self.raise(
            vector.map_or(NO_VECTOR, |vector| vector.load(Ordering::SeqCst)),
            ISR_QUEUE,
        );
    }

    /// The device's configuration has changed.
    pub fn config_changed(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.raise(self.config_vector.load(Ordering::SeqCst), ISR_CONFIG);
    }

    /// The device can't go on until it is reset.
    pub(crate) fn needs_reset(&self) {
        self.needs_reset.store(true, Ordering::SeqCst);
        self.raise(self.config_vector.load(Ordering::SeqCst), ISR_CONFIG);
    }

    pub(crate) fn is_reset_needed(&self) -> bool {
        self.needs_reset.load(Ordering::SeqCst)
    }

    fn raise(&self, vector: u16, isr: u8) {
        if self.msix.is_enabled() {
            self.msix.signal(vector);
            return;
        }
        let mut pin = lock(&self.pin);
        pin.isr |= isr;
        pin.drive();
    }

    /// Reads the ISR register, which clears it and the pin.
    pub(crate) fn take_isr(&self) -> u8 {
        let mut pin = lock(&self.pin);
        let isr = std::mem::take(&mut pin.isr);
        pin.drive();
        isr
    }

    /// The ISR register without clearing it.
    pub(crate) fn isr(&self) -> u8 {
        lock(&self.pin).isr
    }

    pub(crate) fn set_isr(&self, isr: u8) {
        lock(&self.pin).isr = isr;
    }

    /// Follows the command register and MSI-X.
    pub(crate) fn allow_pin(&self, allowed: bool) {
        let mut pin = lock(&self.pin);
        pin.allowed = allowed && !self.msix.is_enabled();
        pin.drive();
    }

    /// Counts changes of the configuration.
    pub(crate) fn generation(&self) -> u8 {
        self.generation.load(Ordering::SeqCst)
    }

    /// The vector of a queue, or of changes of the configuration.
    pub(crate) fn vector(&self, queue: Option<u16>) -> u16 {
        self.cell(queue)
            .map_or(NO_VECTOR, |cell| cell.load(Ordering::SeqCst))
    }

    pub(crate) fn set_vector(&self, queue: Option<u16>, vector: u16) {
        if let Some(cell) = self.cell(queue) {
            cell.store(vector, Ordering::SeqCst);
        }
    }

    fn cell(&self, queue: Option<u16>) -> Option<&AtomicU16> {
        match queue {
            None => Some(&self.config_vector),
            Some(index) => self.queue_vectors.get(usize::from(index)),
        }
    }

    /// The device is reset.
    pub(crate) fn reset(&self) {
        self.needs_reset.store(false, Ordering::SeqCst);
        for cell in self.queue_vectors.iter().chain([&self.config_vector]) {
            cell.store(NO_VECTOR, Ordering::SeqCst);
        }
        self.take_isr();
    }
}
