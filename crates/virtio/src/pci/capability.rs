//! The vendor-specific capabilities that tell where the structures lie (4.1.4), and the window to the BAR in
//! configuration space (4.1.4.9).

use device::pci::ConfigSpace;

use super::{BAR, BAR_SIZE, COMMON, CONFIG, ISR, NOTIFY, NOTIFY_STEP};

/// Capability ID: vendor-specific.
const ID: u8 = 0x09;

const TYPE_COMMON: u8 = 1;
const TYPE_NOTIFY: u8 = 2;
const TYPE_ISR: u8 = 3;
const TYPE_DEVICE: u8 = 4;
const TYPE_WINDOW: u8 = 5;

/// Offsets in a capability.
const OFFSET: u16 = 8;
const LENGTH: u16 = 12;
const DATA: u16 = 16;

/// The window capability's place.
pub(super) struct Capability {
    at: u16,
}

fn body(kind: u8, offset: u64, len: u64, more: &[u8]) -> Vec<u8> {
    let len_of_capability = u8::try_from(16 + more.len()).unwrap_or(u8::MAX);
    let mut body = vec![len_of_capability, kind, BAR, 0, 0, 0];
    for value in [offset, len] {
        body.extend(u32::try_from(value).unwrap_or(0).to_le_bytes());
    }
    body.extend(more);
    body
}

impl Capability {
    /// Adds all capabilities of a device with these lengths of its doorbells and its configuration.
    pub(super) fn add(config: &mut ConfigSpace, notify: u64, device: u64) -> Self {
        config.add_capability(ID, &body(TYPE_COMMON, COMMON, 64, &[]), &[]);
        config.add_capability(ID, &body(TYPE_ISR, ISR, 1, &[]), &[]);
        if device > 0 {
            config.add_capability(ID, &body(TYPE_DEVICE, CONFIG, device, &[]), &[]);
        }
        let step = u32::try_from(NOTIFY_STEP).unwrap_or(0).to_le_bytes();
        config.add_capability(ID, &body(TYPE_NOTIFY, NOTIFY, notify, &step), &[]);
        let mut writable = vec![0, 0, 0xff, 0, 0, 0];
        writable.extend([0xff; 12]);
        let window = body(TYPE_WINDOW, 0, 0, &[0; 4]);
        Self {
            at: config.add_capability(ID, &window, &writable),
        }
    }

    fn register(config: &ConfigSpace, at: u16) -> u32 {
        u32::from(config.word(at)) | u32::from(config.word(at + 2)) << 16
    }

    /// Which bytes of the BAR an access to configuration space shows, if it is one of the window's data.
    pub(super) fn window(
        &self,
        config: &ConfigSpace,
        offset: u16,
        length: u16,
    ) -> Option<(u64, usize)> {
        let data = self.at + DATA;
        if offset >= data + 4 || offset + length <= data {
            return None;
        }
        let [_, bar] = config.word(self.at + 3).to_le_bytes();
        let at = u64::from(Self::register(config, self.at + OFFSET));
        let len = Self::register(config, self.at + LENGTH);
        let is_inside =
            at + u64::from(len) <= u64::from(BAR_SIZE) && at.is_multiple_of(len.max(1).into());
        (bar == BAR && matches!(len, 1 | 2 | 4) && is_inside)
            .then_some((at, usize::try_from(len).ok()?))
    }

    pub(super) fn data(&self, config: &ConfigSpace) -> [u8; 4] {
        Self::register(config, self.at + DATA).to_le_bytes()
    }

    pub(super) fn set_data(&self, config: &mut ConfigSpace, data: &[u8]) {
        config.put(self.at + DATA, data);
    }
}
