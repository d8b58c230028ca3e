//! Register bits (PC16550D data sheet, table II).

/// Interrupt enable.
pub(super) mod ier {
    pub(crate) const DATA_AVAILABLE: u8 = 1 << 0;
    pub(crate) const TRANSMITTER_EMPTY: u8 = 1 << 1;
    pub(crate) const LINE_STATUS: u8 = 1 << 2;
    pub(crate) const MODEM_STATUS: u8 = 1 << 3;
    pub(crate) const WRITABLE: u8 = 0x0f;
}

/// Interrupt identification.
pub(super) mod iir {
    pub(crate) const NONE: u8 = 0x01;
    pub(crate) const FIFOS: u8 = 0xc0;
}

/// FIFO control.
pub(super) mod fcr {
    pub(crate) const ENABLE: u8 = 1 << 0;
    pub(crate) const CLEAR_RECEIVER: u8 = 1 << 1;
    pub(crate) const CLEAR_TRANSMITTER: u8 = 1 << 2;
    pub(crate) const TRIGGER: u8 = 0xc0;
}

/// Line control.
pub(super) mod lcr {
    pub(crate) const LENGTH: u8 = 0x03;
    pub(crate) const TWO_STOP_BITS: u8 = 1 << 2;
    pub(crate) const PARITY: u8 = 1 << 3;
    pub(crate) const DLAB: u8 = 1 << 7;
}

/// Modem control.
pub(super) mod mcr {
    pub(crate) const DTR: u8 = 1 << 0;
    pub(crate) const RTS: u8 = 1 << 1;
    pub(crate) const OUT1: u8 = 1 << 2;
    pub(crate) const OUT2: u8 = 1 << 3;
    pub(crate) const LOOPBACK: u8 = 1 << 4;
    pub(crate) const WRITABLE: u8 = 0x1f;
}

/// Line status.
pub(super) mod lsr {
    pub(crate) const DATA_READY: u8 = 1 << 0;
    pub(crate) const OVERRUN: u8 = 1 << 1;
    pub(crate) const TRANSMITTER_EMPTY: u8 = 1 << 5;
    pub(crate) const TRANSMITTER_IDLE: u8 = 1 << 6;
}

/// Modem status.
pub(super) mod msr {
    pub(crate) const DELTA_CTS: u8 = 1 << 0;
    pub(crate) const DELTA_DSR: u8 = 1 << 1;
    pub(crate) const TRAILING_RI: u8 = 1 << 2;
    pub(crate) const DELTA_DCD: u8 = 1 << 3;
    pub(crate) const CTS: u8 = 1 << 4;
    pub(crate) const DSR: u8 = 1 << 5;
    pub(crate) const RI: u8 = 1 << 6;
    pub(crate) const DCD: u8 = 1 << 7;
}

/// Sources of interrupts, by falling priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupt {
    LineStatus,
    DataAvailable,
    Timeout,
    TransmitterEmpty,
    ModemStatus,
}

impl Interrupt {
    /// How it is identified.
    pub(super) fn bits(self) -> u8 {
        match self {
            Self::LineStatus => 0x06,
            Self::DataAvailable => 0x04,
            Self::Timeout => 0x0c,
            Self::TransmitterEmpty => 0x02,
            Self::ModemStatus => 0x00,
        }
    }
}
