//! The root bus: functions, configuration accesses, and accesses to their BARs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use iface::{Action, InterruptLine, Space};

use super::decode::DecodeMap;
use super::intx::Intx;
use super::{Address, Function, IntxState, pic_irq};
use crate::access::stronger;
use crate::bus::{lock, rearm};

/// Bytes of one function's configuration space.
const CONFIG_SIZE: u64 = 4096;
/// Bytes of the root bus's configuration space.
pub const ECAM_LENGTH: u64 = 256 * CONFIG_SIZE;

/// There is a function at that address already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("PCI function {0} is taken")]
pub struct Occupied(
    /// Where.
    pub Address,
);

type Shared = Arc<Mutex<dyn Function>>;

/// The root bus.
pub struct Root {
    functions: RwLock<BTreeMap<Address, Shared>>,
    decode: RwLock<DecodeMap>,
    intx: Arc<Intx>,
}

impl Root {
    /// A bus without functions. `pins` are the I/O APIC's pins 16 to 19, `irqs` the PIC's [`super::PIC_IRQS`].
    #[must_use]
    pub fn new(pins: [Arc<dyn InterruptLine>; 4], irqs: [Arc<dyn InterruptLine>; 2]) -> Self {
        Self {
            functions: RwLock::default(),
            decode: RwLock::default(),
            intx: Arc::new(Intx::new(pins, irqs)),
        }
    }

    /// Adds a function.
    ///
    /// # Errors
    /// When there is one already.
    pub fn attach(&self, address: Address, function: Shared) -> Result<(), Occupied> {
        let mut locked = lock(&*function);
        let pin = locked.config().interrupt_pin();
        if pin != 0 {
            locked
                .config_mut()
                .set_interrupt_line(pic_irq(address, pin));
        }
        drop(locked);
        let mut functions = self
            .functions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if functions.contains_key(&address) {
            return Err(Occupied(address));
        }
        functions.insert(address, Arc::clone(&function));
        drop(functions);
        self.refresh(address);
        Ok(())
    }

    /// The wire of an interrupt pin, 1 (INTA#) to 4, of a function at `address`.
    #[must_use]
    pub fn intx(&self, address: Address, pin: u8) -> Arc<dyn InterruptLine> {
        Intx::line(&self.intx, address, pin)
    }

    fn function(&self, address: Address) -> Option<Shared> {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        functions.get(&address).cloned()
    }

    /// All functions, in the order of their addresses.
    pub(super) fn functions(&self) -> Vec<(Address, Shared)> {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        functions
            .iter()
            .map(|(&address, function)| (address, Arc::clone(function)))
            .collect()
    }

    /// Follows a function whose configuration was changed by somebody else than the guest: restored or placed.
    pub fn refresh(&self, address: Address) {
        if let Some(function) = self.function(address) {
            self.follow(address, &*lock(&*function));
        }
    }

    fn follow(&self, address: Address, function: &dyn Function) {
        let mut decode = self.decode.write().unwrap_or_else(PoisonError::into_inner);
        if decode.update(address, function.config()) {
            tracing::trace!(%address, "decodes anew");
        }
    }

    /// Reads configuration space of the bus: functions lie 4096 bytes apart.
    pub(super) fn config_read(&self, at: u64, data: &mut [u8]) -> Action {
        let Some((_, offset, function)) = self.config_target(at, data.len()) else {
            data.fill(0xff);
            return Action::None;
        };
        let mut function = lock(&*function);
        function.before_config_read(offset, u16::try_from(data.len()).unwrap_or(0));
        function.config().read(offset, data);
        Action::None
    }

    /// Writes configuration space of the bus.
    pub(super) fn config_write(&self, at: u64, data: &[u8]) -> Action {
        let Some((address, offset, function)) = self.config_target(at, data.len()) else {
            return Action::None;
        };
        let mut function = lock(&*function);
        let before = function.deadline();
        function.config_mut().write(offset, data);
        if offset < 0x40 {
            self.follow(address, &*function);
        }
        let action = function.after_config_write(offset, u16::try_from(data.len()).unwrap_or(0));
        stronger(action, rearm(before, function.deadline()))
    }

    /// The function and offset behind an offset in the bus's configuration space. An access that leaves a
    /// function reaches none.
    fn config_target(&self, at: u64, length: usize) -> Option<(Address, u16, Shared)> {
        let bits = u8::try_from(at / CONFIG_SIZE).ok()?;
        let offset = at % CONFIG_SIZE;
        if offset + length as u64 > CONFIG_SIZE {
            return None;
        }
        let address = Address::from_bits(bits);
        Some((
            address,
            u16::try_from(offset).ok()?,
            self.function(address)?,
        ))
    }

    /// Calls `each` for every piece of an access to BARs.
    fn pieces(
        &self,
        space: Space,
        address: u64,
        length: usize,
        mut each: impl FnMut(Option<(Shared, u8, u64)>, usize),
    ) {
        let mut address = address;
        let mut left = length;
        while left > 0 {
            let decode = self.decode.read().unwrap_or_else(PoisonError::into_inner);
            let (found, length) = decode.piece(space, address, left);
            drop(decode);
            let found = found.and_then(|(place, offset)| {
                Some((self.function(place.address)?, place.bar, offset))
            });
            each(found, length);
            address = address.wrapping_add(length as u64);
            left -= length;
        }
    }

    /// A guest's read of a window.
    pub(super) fn read(&self, space: Space, address: u64, data: &mut [u8]) -> Action {
        let mut action = Action::None;
        let total = data.len();
        let mut rest = data;
        self.pieces(space, address, total, |found, length| {
            let Some((now, later)) = std::mem::take(&mut rest).split_at_mut_checked(length) else {
                return;
            };
            rest = later;
            let Some((function, bar, offset)) = found else {
                return now.fill(0xff);
            };
            let mut function = lock(&*function);
            let before = function.deadline();
            function.read(bar, offset, now);
            action = stronger(action, rearm(before, function.deadline()));
        });
        action
    }

    /// A guest's write to a window.
    pub(super) fn write(&self, space: Space, address: u64, data: &[u8]) -> Action {
        let mut action = Action::None;
        let mut rest = data;
        self.pieces(space, address, data.len(), |found, length| {
            let Some((now, later)) = rest.split_at_checked(length) else {
                return;
            };
            rest = later;
            if let Some((function, bar, offset)) = found {
                action = stronger(action, lock(&*function).write(bar, offset, now));
            }
        });
        action
    }

    /// RESET of every function.
    pub(super) fn reset(&self) {
        for (address, function) in self.functions() {
            let mut function = lock(&*function);
            function.reset();
            self.follow(address, &*function);
        }
    }

    /// The earliest deadline of a function.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.functions()
            .into_iter()
            .filter_map(|(_, function)| lock(&*function).deadline())
            .min()
    }

    /// Lets functions act whose deadline has passed.
    pub(super) fn expire(&self, now: u64) {
        for (_, function) in self.functions() {
            let mut function = lock(&*function);
            if function.deadline().is_some_and(|deadline| deadline <= now) {
                function.expire(now);
            }
        }
    }

    /// Levels of the interrupt pins, for a snapshot.
    #[must_use]
    pub fn save_intx(&self) -> IntxState {
        self.intx.save()
    }

    /// Takes up the levels of the interrupt pins, driving nothing.
    pub fn restore_intx(&self, state: IntxState) {
        self.intx.restore(state);
    }
}
