//! Character streams: what a serial port is plugged into.

/// A stream of bytes to and from somebody. Neither call blocks.
pub trait Char: Send {
    /// Takes bytes that arrived, at most `to.len()`; returns how many.
    fn read(&mut self, to: &mut [u8]) -> usize;

    /// Hands bytes over; returns how many were taken, less than `from.len()` when the other side is slow.
    fn write(&mut self, from: &[u8]) -> usize;
}
