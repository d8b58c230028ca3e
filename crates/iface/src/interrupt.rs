//! Interrupts between devices, interrupt controllers and engines.

/// A wire to an interrupt controller.
pub trait InterruptLine: Send + Sync {
    /// Drives the wire: `true` asserts. Level and edge are the controller's business.
    fn set(&self, level: bool);

    /// A rising edge and a falling one.
    fn pulse(&self) {
        self.set(true);
        self.set(false);
    }
}

/// A message-signalled interrupt: a write of `data` to `address` (SDM vol. 3, 11.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Msi {
    /// Guest-physical address of the write, 0xfeex_xxxx.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

/// Where messages go: the engine, behind whatever the machine puts between.
pub trait MsiSink: Send + Sync {
    /// Delivers a message.
    fn send(&self, msi: Msi);
}
