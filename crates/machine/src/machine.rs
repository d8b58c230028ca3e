//! Assembly and lifecycle.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use device::lock;
use iface::{Char, Clock, Engine, Io};
use mem::GuestRam;

use crate::boot::System;
use crate::chipset::{Chipset, Parts};
use crate::clock::MachineClock;
use crate::control::Control;
use crate::engine::{self, MakeEngine};
use crate::io::MachineIo;
use crate::layout::Layout;
use crate::peripheral::Peripherals;
use crate::processor::Processor;
use crate::spec::Console;
use crate::start::Start;
use crate::timer::{Deadlines, Timer};
use crate::{Error, Outcome, Spec, early, processor, promise, reset};

/// A machine: built paused, started by [`Handle::resume`], ended when dropped.
pub struct Machine {
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
}

/// Reaches a machine from other threads.
#[derive(Clone)]
pub struct Handle {
    pub(crate) io: Arc<MachineIo>,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) peripherals: Arc<Peripherals>,
    pub(crate) start: Arc<Start>,
    engine: Arc<dyn Engine>,
    /// Held by whoever makes the machine stand still, go on, or start again.
    pub(crate) turn: Arc<Mutex<()>>,
}

impl Machine {
    /// Builds the machine: memory, engine, chipset, then what it boots, then its processors.
    pub fn build(spec: &Spec, console: Box<dyn Char>) -> Result<Self, Error> {
        Self::assemble(spec, console, &engine::make)
    }

    pub(crate) fn assemble(
        spec: &Spec,
        console: Box<dyn Char>,
        make_engine: &MakeEngine,
    ) -> Result<Self, Error> {
        spec.validate()?;
        // What the user named is looked at before anything is made.
        let named = spec.boot.kernel.is_some();
        let system = named.then(|| System::open(&spec.boot, None)).transpose()?;
        let layout = Layout::new(spec.memory);
        let ram = memory(spec, layout)?;
        let clock = Arc::new(MachineClock::default());
        let engine = make_engine(spec, &ram, &(clock.clone() as Arc<dyn Clock>))?;
        let (serial, console, terminal): (Box<dyn Char>, _, _) = match spec.console {
            Console::Serial => (console, None, None),
            Console::Virtio => {
                let (early, late, terminal) = early::split(console);
                let late: Box<dyn Char> = Box::new(late);
                (Box::new(early), Some(late), Some(terminal))
            }
        };
        let chipset = Arc::new(Chipset::new(Parts {
            engine: engine.clone(),
            clock: clock.clone(),
            layout,
            serial,
            debug_exit: spec.debug_exit,
        }));
        let peripherals = Arc::new(Peripherals::attach(
            spec,
            &chipset.pci,
            &ram,
            &engine,
            console,
        )?);
        let vcpus: Result<Vec<_>, _> = (0..spec.cpus).map(|id| engine.vcpu(id)).collect();
        let vcpus = vcpus?;
        let kickers = vcpus.iter().map(|vcpu| vcpu.kicker()).collect();
        let processors = vcpus.into_iter().map(|vcpu| Arc::new(Mutex::new(vcpu)));
        let start = Start {
            spec: spec.clone(),
            layout,
            ram: ram.clone(),
            disk: peripherals.first_disk().cloned(),
            terminal,
            processors: processors.collect(),
            system: Mutex::new(system),
        };
        start.load()?;
        let io = Arc::new(MachineIo {
            chipset,
            timer: Arc::new(Timer::default()),
            control: Arc::new(Control::new(kickers, spec.reboot)),
        });
        let mut machine = Self {
            handle: Handle {
                io,
                clock,
                peripherals,
                start: Arc::new(start),
                engine,
                turn: Arc::default(),
            },
            threads: Vec::new(),
        };
        machine.start_threads()?;
        Ok(machine)
    }

    /// A handle for other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The engine.
    pub fn engine(&self) -> &dyn Engine {
        &*self.handle.engine
    }

    /// Guest RAM.
    pub fn ram(&self) -> &GuestRam {
        &self.handle.start.ram
    }

    pub(crate) fn processors(&self) -> &[Processor] {
        &self.handle.start.processors
    }

    pub(crate) fn shared_ram(&self) -> Arc<GuestRam> {
        self.handle.start.ram.clone()
    }

    fn start_threads(&mut self) -> Result<(), Error> {
        let Handle {
            io, clock, start, ..
        } = self.handle.clone();
        let devices: Arc<dyn Deadlines> = io.chipset.clone();
        let timer = io.timer.clone();
        let thread = thread::Builder::new().name("timer".into());
        let thread = thread.spawn(move || timer.run(&clock, &devices));
        self.threads.push(thread.map_err(Error::Thread)?);
        for (id, vcpu) in (0..).zip(&start.processors) {
            let shared: Arc<dyn Io> = io.clone();
            let thread = processor::spawn(id, vcpu.clone(), shared, io.control.clone())?;
            self.threads.push(thread);
        }
        self.threads.push(reset::spawn(self.handle.clone())?);
        Ok(())
    }
}

impl Drop for Machine {
    /// Ends every thread.
    fn drop(&mut self) {
        self.handle.stop();
        self.handle.io.timer.end();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
        self.handle.peripherals.end();
    }
}

impl Handle {
    /// Starts the machine, or goes on after [`Handle::pause`].
    pub fn resume(&self) {
        let _turn = lock(&self.turn);
        if !self.io.control.is_stopped() {
            self.start_time();
        }
        self.io.control.resume();
    }

    pub(crate) fn start_time(&self) {
        self.clock.start();
        self.io.timer.rearm();
        self.peripherals.resume();
    }

    pub(crate) fn stop_time(&self) {
        self.peripherals.pause();
        self.clock.stop();
        self.io.timer.rearm();
    }

    /// As [`Handle::pause`], for the debugger.
    pub(crate) fn hold(&self) {
        let _turn = lock(&self.turn);
        self.io.control.hold();
        self.stop_time();
    }

    /// As [`Handle::resume`], for the debugger: those of the processors go on, by ID.
    pub(crate) fn let_go(&self, allowed: u64) {
        let _turn = lock(&self.turn);
        if !self.io.control.is_paused() {
            self.start_time();
        }
        self.io.control.let_go(allowed);
    }

    /// Returns when no processor runs and time stands still.
    pub fn pause(&self) {
        let _turn = lock(&self.turn);
        self.io.control.pause();
        self.stop_time();
    }

    /// Whether the machine is paused.
    pub fn is_paused(&self) -> bool {
        let _turn = lock(&self.turn);
        self.io.control.is_paused()
    }

    /// Resets the machine from outside, as its guest could. Returns at once.
    pub fn reset(&self) {
        self.io.control.reset();
    }

    /// Ends the machine from outside. Returns at once.
    pub fn stop(&self) {
        self.io.control.end(Outcome::Stopped);
    }

    /// Waits for the machine's end and tells how it ended.
    pub fn wait(&self) -> Outcome {
        self.io.control.wait_outcome()
    }

    /// How the machine ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.io.control.outcome()
    }

    /// Waits until the machine has ended and no processor runs, at most `limit`; whether that came true.
    pub fn wait_quiet(&self, limit: Duration) -> bool {
        self.io.control.wait_quiet(limit)
    }

    /// Presses the power button.
    pub fn press_power_button(&self) {
        self.io.chipset.press_power_button();
    }

    /// What the text screen shows: lines of characters.
    pub fn screen(&self) -> String {
        self.io.chipset.screen()
    }

    /// The window in which the console is shown has another size. A serial port can't tell the guest.
    pub fn resize_console(&self, columns: u16, rows: u16) {
        self.peripherals.resize_console(columns, rows);
    }

    /// Figures about the run so far, each with its name.
    pub fn statistics(&self) -> Vec<(&'static str, u64)> {
        // Processors add their figures when they leave the guest.
        let turn = lock(&self.turn);
        if !self.io.control.is_paused() {
            self.io.control.pause();
            self.io.control.resume();
        }
        drop(turn);
        let resident = self.start.ram.resident().ok();
        let resident = resident.map(|bytes| ("KiB of guest memory touched", bytes >> 10));
        let mut figures: Vec<_> = resident.into_iter().collect();
        figures.extend(self.engine.statistics());
        figures
    }

    /// To be called when what the console is plugged into became readable or writable.
    pub fn poll_console(&self) {
        self.peripherals.poll_console();
        let action = self.io.chipset.poll_serial();
        self.io.act(action);
    }
}

/// RAM, if the host can promise it.
fn memory(spec: &Spec, layout: Layout) -> Result<Arc<GuestRam>, Error> {
    promise::check(spec.memory)?;
    Ok(Arc::new(GuestRam::new(&layout.ram())?))
}

#[cfg(test)]
mod tests;
