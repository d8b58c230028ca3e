//! The machine in the hands of a debugger: everything stops together, and is looked at and changed while it stands.
//!
//! Addresses are linear, and mean what they do to the processor by which they are looked at. Where the engine has few
//! breakpoints, INT3 in memory stands for the others while the guest runs, and only then.

mod plant;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use device::lock;
use host::Bell;
use iface::{Debug, EngineError, Stop, Watch};
use mem::{Gpa, GuestRam, PAGE_SIZE};
use x86::CpuState;

use crate::processor::Processor;
use crate::{Handle, Machine, Outcome};
use plant::Plants;

/// What a processor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It runs.
    Run,
    /// It executes one instruction, and then everybody stops.
    Step,
    /// It stands.
    Stand,
}

/// A debugger's hold on a machine. Dropped, it lets the guest go on as if it had never been.
pub struct Debugger {
    machine: Handle,
    processors: Vec<Processor>,
    ram: Arc<GuestRam>,
    /// Breakpoints and watchpoints that the engine has.
    most: Option<usize>,
    bell: Arc<Bell>,
    breakpoints: BTreeSet<u64>,
    watchpoints: Vec<Watch>,
    plants: Plants,
    /// By processor, while it stands.
    states: Vec<Option<Box<CpuState>>>,
}

impl Debugger {
    /// Takes hold; the machine is left as it is.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new(machine: &Machine) -> std::io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let handle = machine.handle();
        handle.io.control.set_debugger(bell.clone());
        let processors = machine.processors().to_vec();
        Ok(Self {
            machine: handle,
            states: vec![None; processors.len()],
            processors,
            ram: machine.shared_ram(),
            most: machine.engine().breakpoints(),
            bell,
            breakpoints: BTreeSet::new(),
            watchpoints: Vec::new(),
            plants: Plants::default(),
        })
    }

    /// Processors of the machine.
    #[must_use]
    pub fn count(&self) -> usize {
        self.processors.len()
    }

    /// Rings when there is news: [`Debugger::take_stop`] or [`Debugger::outcome`].
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Stops all processors, and time; returns when they stand.
    pub fn stop(&mut self) {
        self.machine.hold();
        self.plants.pull(&self.ram);
    }

    /// The next processor that has stopped by itself, and why. Everybody stands then.
    pub fn take_stop(&mut self) -> Option<(usize, Stop)> {
        let (processor, stop) = self.machine.io.control.take_stop()?;
        self.stop();
        Some((processor as usize, stop))
    }

    /// How the machine ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.machine.outcome()
    }

    /// Ends the machine.
    pub fn end(&self) {
        self.machine.stop();
    }

    /// Lets processors go on, each by its plan.
    ///
    /// # Errors
    /// When an engine refuses what is wanted of it; nobody goes on then.
    pub fn go(&mut self, plans: &[Plan]) -> Result<(), EngineError> {
        self.stop();
        let mut wanted = self.wishes();
        let mut allowed = 0_u64;
        for (index, processor) in self.processors.iter().enumerate() {
            let plan = plans.get(index).copied().unwrap_or(Plan::Run);
            wanted.step = plan == Plan::Step;
            allowed |= u64::from(plan != Plan::Stand) << index;
            if let Err(error) = lock(processor).set_debug(&wanted) {
                self.plants.pull(&self.ram);
                return Err(error);
            }
        }
        self.states.fill(None);
        self.machine.let_go(allowed);
        Ok(())
    }

    /// What the engine is to stop at; the rest becomes INT3 in memory.
    fn wishes(&mut self) -> Debug {
        let most = self.most.unwrap_or(usize::MAX);
        let own = most.saturating_sub(self.watchpoints.len());
        let mut breakpoints = self.breakpoints.clone().into_iter();
        let kept = breakpoints.by_ref().take(own).collect();
        let rest: Vec<u64> = breakpoints.collect();
        let mut traps = Vec::new();
        for address in rest {
            match self.translate_anywhere(address) {
                Some(at) => {
                    self.plants.plant(&self.ram, at);
                    traps.push(address);
                }
                None => tracing::warn!("no memory for the breakpoint at {address:#x}"),
            }
        }
        Debug {
            step: false,
            breakpoints: kept,
            watchpoints: self.watchpoints.clone(),
            traps,
        }
    }

    /// Wants a stop before the instruction at an address; false when that can't be had.
    pub fn add_breakpoint(&mut self, address: u64) -> bool {
        let fits = self.used() < self.most.unwrap_or(usize::MAX);
        let possible = fits || self.translate_anywhere(address).is_some();
        if possible {
            self.breakpoints.insert(address);
        }
        possible
    }

    /// Wants it no longer.
    pub fn remove_breakpoint(&mut self, address: u64) -> bool {
        self.breakpoints.remove(&address)
    }

    fn used(&self) -> usize {
        self.breakpoints.len() + self.watchpoints.len()
    }

    /// Watches data; false when the engine has too few watchpoints.
    pub fn add_watchpoint(&mut self, address: u64, len: u64, reads: bool) -> bool {
        let added = pieces(address, len, reads);
        let fits = self.watchpoints.len() + added.len() <= self.most.unwrap_or(usize::MAX);
        if fits {
            self.watchpoints.extend(added);
        }
        fits
    }

    /// Watches it no longer.
    pub fn remove_watchpoint(&mut self, address: u64, len: u64, reads: bool) -> bool {
        let pieces = pieces(address, len, reads);
        let mut found = true;
        for piece in pieces {
            let at = self.watchpoints.iter().position(|watch| *watch == piece);
            match at {
                Some(at) => _ = self.watchpoints.swap_remove(at),
                None => found = false,
            }
        }
        found
    }

    /// The state of a processor.
    ///
    /// # Errors
    /// The engine's.
    pub fn state(&mut self, processor: usize) -> Result<&CpuState, EngineError> {
        let (Some(slot), Some(vcpu)) = (
            self.states.get_mut(processor),
            self.processors.get(processor),
        ) else {
            return Err(EngineError::State(format!("there is no vCPU {processor}")));
        };
        match slot {
            Some(state) => Ok(state),
            None => Ok(slot.insert(Box::new(lock(vcpu).save()?))),
        }
    }

    /// The state of a processor, not kept for later.
    ///
    /// # Errors
    /// The engine's.
    pub fn peek(&self, processor: usize) -> Result<CpuState, EngineError> {
        match (self.states.get(processor), self.processors.get(processor)) {
            (Some(Some(state)), _) => Ok((**state).clone()),
            (_, Some(vcpu)) => lock(vcpu).save(),
            _ => Err(EngineError::State(format!("there is no vCPU {processor}"))),
        }
    }

    /// Replaces the state of a processor.
    ///
    /// # Errors
    /// [`EngineError::State`] when no processor can be in it; then nothing has changed.
    pub fn set_state(&mut self, processor: usize, state: CpuState) -> Result<(), EngineError> {
        let before = self.state(processor)?.clone();
        let mut vcpu = lock(&self.processors[processor]);
        if let Err(error) = vcpu.load(&state) {
            vcpu.load(&before)?;
            return Err(error);
        }
        drop(vcpu);
        self.states[processor] = None;
        Ok(())
    }

    fn translate(&mut self, processor: usize, address: u64) -> Option<Gpa> {
        let ram = self.ram.clone();
        walk::translate(self.state(processor).ok()?, &ram, address)
    }

    /// Where an address leads for the first processor for which it leads to memory.
    fn translate_anywhere(&mut self, address: u64) -> Option<Gpa> {
        let ram = self.ram.clone();
        (0..self.count())
            .filter_map(|processor| self.translate(processor, address))
            .find(|&at| ram.offset(at, 1).is_some())
    }

    /// Reads memory as a processor sees it; how many bytes are there.
    pub fn read(&mut self, processor: usize, address: u64, to: &mut [u8]) -> usize {
        let mut done = 0;
        while done < to.len() {
            let from = address.wrapping_add(done as u64);
            let len = piece(from, to.len() - done);
            let part = &mut to[done..done + len];
            let at = self.translate(processor, from);
            if at.is_none_or(|at| self.ram.read(at, part).is_err()) {
                break;
            }
            done += len;
        }
        done
    }

    /// Writes memory as a processor sees it, whatever the rights of its pages; false when some of it is not there.
    pub fn write(&mut self, processor: usize, address: u64, from: &[u8]) -> bool {
        let mut done = 0;
        while done < from.len() {
            let to = address.wrapping_add(done as u64);
            let len = piece(to, from.len() - done);
            let at = self.translate(processor, to);
            if at.is_none_or(|at| self.ram.write(at, &from[done..done + len]).is_err()) {
                return false;
            }
            done += len;
        }
        true
    }

    /// Forgets what was wanted, and lets the guest go on.
    pub fn detach(&mut self) {
        self.breakpoints.clear();
        self.watchpoints.clear();
        if let Err(error) = self.go(&[]) {
            tracing::warn!(%error, "the debugger's breakpoints stay");
            self.machine.let_go(u64::MAX);
        }
        while self.machine.io.control.take_stop().is_some() {}
    }
}

impl Drop for Debugger {
    fn drop(&mut self) {
        if self.outcome().is_none() {
            self.detach();
        }
    }
}

/// How many of `len` bytes lie in the page of an address.
fn piece(address: u64, len: usize) -> usize {
    len.min((PAGE_SIZE - address % PAGE_SIZE) as usize)
}

/// A range as watchpoints are: aligned, of 1, 2, 4 or 8 bytes.
fn pieces(address: u64, len: u64, reads: bool) -> Vec<Watch> {
    let mut pieces = Vec::new();
    let (mut address, mut left) = (address, len);
    while left > 0 {
        let fits = |len: &u64| *len <= left && address.is_multiple_of(*len);
        let len = [8, 4, 2].into_iter().find(fits).unwrap_or(1);
        pieces.push(Watch {
            address,
            len,
            reads,
        });
        address = address.wrapping_add(len);
        left -= len;
    }
    pieces
}

#[cfg(test)]
mod tests;
