//! The thread that starts the machine again when it was reset.

use std::thread::{self, JoinHandle};

use device::lock;

use crate::processor::describe;
use crate::{Error, Handle, Outcome, peripheral};

/// Starts the thread; it ends with the machine.
pub(crate) fn spawn(machine: Handle) -> Result<JoinHandle<()>, Error> {
    let body = move || {
        while machine.io.control.wait_reset() {
            let again = machine.start_again();
            if let Err(error) = again {
                let reason = describe(&error);
                machine.io.control.end(Outcome::NoRestart { reason });
            }
            machine.io.control.is_reset();
        }
    };
    let thread = thread::Builder::new().name("reset".into()).spawn(body);
    thread.map_err(Error::Thread)
}

impl Handle {
    /// Brings devices, memory and processors to where they were at power-on. No processor runs, and time stands
    /// still, so that all processors begin at the same moment of it. A machine that was paused stays so.
    fn start_again(&self) -> Result<(), Error> {
        let _turn = lock(&self.turn);
        tracing::info!("the guest reset the machine: it starts again");
        self.stop_time();
        self.io.chipset.reset();
        peripheral::place(&self.io.chipset.pci);
        self.start.again()?;
        if !self.io.control.is_paused() && !self.io.control.is_stopped() {
            self.start_time();
        }
        Ok(())
    }
}
