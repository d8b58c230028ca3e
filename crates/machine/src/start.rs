//! What firmware does at power-on and after each reset: its tables and what the machine starts go into memory, the
//! processors into the state in which that begins.

use std::sync::{Arc, Mutex};

use device::lock;
use mem::GuestRam;

use crate::boot::{System, Target};
use crate::layout::Layout;
use crate::peripheral::FirstDisk;
use crate::processor::Processor;
use crate::{Error, Spec, acpi, bios, early, firmware, mp_table};

/// All that it needs. No processor runs meanwhile.
pub(crate) struct Start {
    pub(crate) spec: Spec,
    pub(crate) layout: Layout,
    pub(crate) ram: Arc<GuestRam>,
    /// The first disk.
    pub(crate) disk: Option<FirstDisk>,
    /// Where the serial port speaks first.
    pub(crate) terminal: Option<Arc<early::Terminal>>,
    pub(crate) processors: Vec<Processor>,
    /// What was started last, or is to be started first.
    pub(crate) system: Mutex<Option<System>>,
}

impl Start {
    /// Starts what the spec says in RAM that is all zeros.
    pub(crate) fn load(&self) -> Result<(), Error> {
        let mut system = lock(&self.system);
        let ready = match system.take() {
            Some(ready) => ready,
            None => System::open(&self.spec.boot, self.disk.as_ref())?,
        };
        let ram = &*self.ram;
        bios::write(ram)?;
        mp_table::write(ram, self.spec.cpus)?;
        let target = Target {
            ram,
            layout: self.layout,
            rsdp: acpi::write(ram, self.spec.cpus)?,
        };
        let entry = ready.load(&target)?;
        // What came off a disk is read again anyway.
        *system = self.spec.boot.kernel.is_some().then_some(ready);
        for (id, processor) in (0..).zip(&self.processors) {
            lock(processor).load(&firmware::state(id, &entry))?;
        }
        Ok(())
    }

    /// Starts it again: RAM goes back to the host first.
    pub(crate) fn again(&self) -> Result<(), Error> {
        self.terminal.iter().for_each(|terminal| terminal.reset());
        self.ram.release(mem::Offset(0), self.ram.size());
        let old = lock(&self.system).take();
        let again = |old: System| old.again(&self.spec.boot, self.disk.as_ref());
        *lock(&self.system) = old.map(again).transpose()?;
        self.load()
    }
}
