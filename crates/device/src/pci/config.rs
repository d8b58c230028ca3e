//! Configuration space (PCI 3.0, chapter 6; PCI Express 4.0, 7.5).

use iface::{Misfit, Space};
use serde::{Deserialize, Serialize};

/// Bytes of configuration space.
const SIZE: usize = 4096;
/// The bytes before the capabilities.
const HEADER: u16 = 0x40;
/// The end of the capabilities that mechanism 1 reaches.
const CAPABILITIES_END: u16 = 0x100;

const VENDOR: u16 = 0x00;
const DEVICE: u16 = 0x02;
const COMMAND: u16 = 0x04;
const STATUS: u16 = 0x06;
const REVISION: u16 = 0x08;
const CLASS: u16 = 0x09;
const BAR0: u16 = 0x10;
const SUBSYSTEM_VENDOR: u16 = 0x2c;
const SUBSYSTEM: u16 = 0x2e;
const CAPABILITIES: u16 = 0x34;
const INTERRUPT_LINE: u16 = 0x3c;
const INTERRUPT_PIN: u16 = 0x3d;

const COMMAND_IO: u16 = 1 << 0;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const STATUS_INTX: u16 = 1 << 3;
const STATUS_CAPABILITIES: u16 = 1 << 4;

const BAR_IO: u32 = 1 << 0;
const BAR_64: u32 = 0b10 << 1;
const BAR_PREFETCHABLE: u32 = 1 << 3;

/// What a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Base class, subclass and programming interface: 0x060000 is a host bridge.
    pub class: u32,
    /// Subsystem vendor ID.
    pub subsystem_vendor: u16,
    /// Subsystem ID.
    pub subsystem: u16,
}

/// A base address register. Sizes are powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// Ports; 4 to 256.
    Ports(u32),
    /// Memory below 4 GiB; at least 16 bytes.
    Memory32(u32),
    /// Memory anywhere, prefetchable; takes two registers.
    Memory64(u64),
}

impl Bar {
    /// Size in bytes or ports.
    #[must_use]
    pub fn size(self) -> u64 {
        match self {
            Self::Ports(size) | Self::Memory32(size) => size.into(),
            Self::Memory64(size) => size,
        }
    }

    /// The address space that it is in.
    #[must_use]
    pub fn space(self) -> Space {
        match self {
            Self::Ports(_) => Space::Port,
            Self::Memory32(_) | Self::Memory64(_) => Space::Memory,
        }
    }
}

/// The configuration space of one function: its bytes, and which bits of them the guest can write.
#[derive(Debug, Clone)]
pub struct ConfigSpace {
    bytes: Vec<u8>,
    writable: Vec<u8>,
    bars: [Option<Bar>; 6],
    next_capability: u16,
    /// Where the offset of the next capability goes.
    capability_link: u16,
}

/// The bytes of a [`ConfigSpace`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigState(Vec<u8>);

impl ConfigSpace {
    /// The header of a function without BARs, capabilities and interrupt.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        let mut this = Self {
            bytes: vec![0; SIZE],
            writable: vec![0; SIZE],
            bars: [None; 6],
            next_capability: HEADER,
            capability_link: CAPABILITIES,
        };
        let [interface, subclass, class, _] = identity.class.to_le_bytes();
        this.put(VENDOR, &identity.vendor.to_le_bytes());
        this.put(DEVICE, &identity.device.to_le_bytes());
        this.put(REVISION, &[identity.revision]);
        this.put(CLASS, &[interface, subclass, class]);
        this.put(SUBSYSTEM_VENDOR, &identity.subsystem_vendor.to_le_bytes());
        this.put(SUBSYSTEM, &identity.subsystem.to_le_bytes());
        this.allow(COMMAND, &COMMAND_MASTER.to_le_bytes());
        this
    }

    /// Gives it a base address register.
    ///
    /// # Panics
    /// When the index is taken, or the size no power of two: a defect of the device's.
    #[must_use]
    pub fn with_bar(mut self, index: u8, bar: Bar) -> Self {
        assert!(
            bar.size().is_power_of_two() && bar.size() >= 4,
            "BAR size {:#x}",
            bar.size()
        );
        let slots = if matches!(bar, Bar::Memory64(_)) {
            2
        } else {
            1
        };
        for slot in usize::from(index)..usize::from(index) + slots {
            let free = self.bars.get(slot).is_some_and(Option::is_none);
            assert!(free && !self.is_upper_half(slot), "BAR {slot} is not free");
        }
        let (flags, mask) = match bar {
            Bar::Ports(size) => (BAR_IO, u64::from(!(size - 1) & !3)),
            Bar::Memory32(size) => (0, u64::from(!(size - 1) & !0xf)),
            Bar::Memory64(size) => (BAR_64 | BAR_PREFETCHABLE, !(size - 1) & !0xf),
        };
        let enable = if bar.space() == Space::Port {
            COMMAND_IO
        } else {
            COMMAND_MEMORY
        };
        let offset = BAR0 + 4 * u16::from(index);
        self.put(offset, &flags.to_le_bytes());
        self.allow(offset, mask.to_le_bytes().get(..4 * slots).unwrap_or(&[]));
        self.allow(COMMAND, &enable.to_le_bytes());
        if let Some(slot) = self.bars.get_mut(usize::from(index)) {
            *slot = Some(bar);
        }
        self
    }

    /// Gives it an interrupt pin, 1 (INTA#) to 4.
    #[must_use]
    pub fn with_interrupt_pin(mut self, pin: u8) -> Self {
        self.put(INTERRUPT_PIN, &[pin]);
        self.allow(INTERRUPT_LINE, &[0xff]);
        self.allow(COMMAND, &COMMAND_INTX_DISABLE.to_le_bytes());
        self
    }

    /// Appends a capability: `body` follows ID and link, `writable` says which of its bits the guest can write.
    /// Returns the offset of the capability's ID.
    ///
    /// # Panics
    /// When there is no room left: a defect of the device's.
    pub fn add_capability(&mut self, id: u8, body: &[u8], writable: &[u8]) -> u16 {
        let at = self.next_capability;
        let length = u16::try_from(body.len()).unwrap_or(CAPABILITIES_END) + 2;
        let end = at + length.next_multiple_of(4);
        assert!(end <= CAPABILITIES_END, "no room for capability {id:#x}");
        self.put(at, &[id, 0]);
        self.put(at + 2, body);
        self.allow(at + 2, writable);
        let [link, _] = at.to_le_bytes();
        self.put(self.capability_link, &[link]);
        self.put(STATUS, &STATUS_CAPABILITIES.to_le_bytes());
        self.capability_link = at + 1;
        self.next_capability = end;
        at
    }

    fn is_upper_half(&self, slot: usize) -> bool {
        let lower = slot.checked_sub(1).and_then(|lower| self.bars.get(lower));
        matches!(lower, Some(Some(Bar::Memory64(_))))
    }

    /// Sets bytes, whatever the guest may write.
    pub fn put(&mut self, offset: u16, data: &[u8]) {
        for (byte, &new) in self.bytes.iter_mut().skip(offset.into()).zip(data) {
            *byte = new;
        }
    }

    /// Lets the guest write bits, beside those that it can write already.
    pub fn allow(&mut self, offset: u16, mask: &[u8]) {
        for (byte, &more) in self.writable.iter_mut().skip(offset.into()).zip(mask) {
            *byte |= more;
        }
    }

    /// Reads bytes; what lies beyond the space becomes ones.
    pub fn read(&self, offset: u16, data: &mut [u8]) {
        let mut from = self.bytes.iter().skip(offset.into());
        for to in data {
            *to = from.next().copied().unwrap_or(0xff);
        }
    }

    /// A guest's write: bits that it can't write stay.
    pub fn write(&mut self, offset: u16, data: &[u8]) {
        let bytes = self
            .bytes
            .iter_mut()
            .zip(&self.writable)
            .skip(offset.into());
        for ((byte, &mask), &new) in bytes.zip(data) {
            *byte = *byte & !mask | new & mask;
        }
    }

    /// Two bytes.
    #[must_use]
    pub fn word(&self, offset: u16) -> u16 {
        let mut data = [0; 2];
        self.read(offset, &mut data);
        u16::from_le_bytes(data)
    }

    /// The base address registers and their indexes.
    pub fn bars(&self) -> impl Iterator<Item = (u8, Bar)> {
        (0..)
            .zip(self.bars)
            .filter_map(|(index, bar)| Some((index, bar?)))
    }

    /// The address in a BAR, enabled or not.
    #[must_use]
    pub fn base(&self, index: u8) -> Option<u64> {
        let bar = self.bars.get(usize::from(index)).copied().flatten()?;
        let mut data = [0; 8];
        let length = if matches!(bar, Bar::Memory64(_)) {
            8
        } else {
            4
        };
        self.read(BAR0 + 4 * u16::from(index), data.get_mut(..length)?);
        Some(u64::from_le_bytes(data) & !(bar.size() - 1))
    }

    /// Puts an address into a BAR, as firmware does. `address` is a multiple of the size.
    pub fn set_base(&mut self, index: u8, address: u64) {
        let length = match self.bars.get(usize::from(index)) {
            Some(Some(Bar::Memory64(_))) => 8,
            Some(Some(_)) => 4,
            _ => return,
        };
        self.write(
            BAR0 + 4 * u16::from(index),
            address.to_le_bytes().get(..length).unwrap_or(&[]),
        );
    }

    /// What the function decodes: BARs that the command register enables and that hold an address.
    pub fn decoded(&self) -> impl Iterator<Item = (u8, Bar, u64)> {
        let command = self.word(COMMAND);
        self.bars().filter_map(move |(index, bar)| {
            let enable = if bar.space() == Space::Port {
                COMMAND_IO
            } else {
                COMMAND_MEMORY
            };
            let base = self.base(index).filter(|&base| base != 0)?;
            (command & enable != 0).then_some((index, bar, base))
        })
    }

    /// The interrupt pin, 1 to 4; 0 when there is none.
    #[must_use]
    pub fn interrupt_pin(&self) -> u8 {
        let [_, pin] = self.word(INTERRUPT_LINE).to_le_bytes();
        pin
    }

    /// Tells the guest the IRQ of its interrupt pin, as firmware does.
    pub(super) fn set_interrupt_line(&mut self, irq: u8) {
        self.put(INTERRUPT_LINE, &[irq]);
    }

    /// Whether the command register lets it use its interrupt pin.
    #[must_use]
    pub fn is_intx_enabled(&self) -> bool {
        self.word(COMMAND) & COMMAND_INTX_DISABLE == 0
    }

    /// Shows in the status register whether an interrupt is pending at the pin.
    pub fn set_intx_status(&mut self, pending: bool) {
        let status = self.word(STATUS) & !STATUS_INTX;
        let status = status | if pending { STATUS_INTX } else { 0 };
        self.put(STATUS, &status.to_le_bytes());
    }

    /// Whether the function may reach memory by itself.
    #[must_use]
    pub fn is_bus_master(&self) -> bool {
        self.word(COMMAND) & COMMAND_MASTER != 0
    }

    /// RESET: command register and BARs become zero. Addresses are given again by [`super::Root::place`].
    pub fn reset(&mut self) {
        self.write(COMMAND, &[0; 2]);
        self.write(BAR0, &[0; 24]);
        self.set_intx_status(false);
    }

    /// The bytes now.
    #[must_use]
    pub fn save(&self) -> ConfigState {
        ConfigState(self.bytes.clone())
    }

    /// Takes up bytes. They are those of the same function, which `name` names.
    ///
    /// # Errors
    /// When bits of the header differ that a guest can't write.
    pub fn restore(&mut self, name: &'static str, state: ConfigState) -> Result<(), Misfit> {
        let ConfigState(bytes) = state;
        let header = usize::from(HEADER);
        let mine = self.bytes.iter().zip(&self.writable).take(header);
        let [status, _] = STATUS.to_le_bytes();
        let is_same = |(at, ((&mine, &writable), &theirs)): (usize, ((&u8, &u8), &u8))| {
            (mine ^ theirs) & !writable == 0 || at == usize::from(status)
        };
        if bytes.len() != SIZE || !mine.zip(&bytes).enumerate().all(is_same) {
            return Err(Misfit {
                name,
                reason: "configuration space of another function",
            });
        }
        self.bytes = bytes;
        Ok(())
    }
}
