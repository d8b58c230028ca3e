//! Messages of the control queues (5.3.6.2).

/// The driver is ready to be told of ports; value 0 that it never will be.
pub(super) const DEVICE_READY: u16 = 0;
/// There is a port.
pub(super) const DEVICE_ADD: u16 = 1;
/// The driver has the port; value 0 that it could not have it.
pub(super) const PORT_READY: u16 = 3;
/// The other side opens, or closes by value 0.
pub(super) const PORT_OPEN: u16 = 6;
/// The name of a port follows.
pub(super) const PORT_NAME: u16 = 7;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) port: u32,
    pub(super) event: u16,
    pub(super) value: u16,
}

/// Bytes of a message.
pub(super) const LEN: usize = 8;

impl Message {
    pub(super) fn from_bytes(bytes: [u8; LEN]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            port: u32::from_le_bytes([a, b, c, d]),
            event: u16::from_le_bytes([e, f]),
            value: u16::from_le_bytes([g, h]),
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.port.to_le_bytes().to_vec();
        bytes.extend(self.event.to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
        bytes
    }
}
