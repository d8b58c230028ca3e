//! How an access of 1 to 8 bytes meets registers: bytes one by one, or a little-endian word.

use iface::Action;

/// The stronger of two actions: what ends the machine outranks [`Action::Rearm`], the earlier of two ends wins.
pub(crate) fn stronger(first: Action, second: Action) -> Action {
    match (first, second) {
        (Action::None, other) => other,
        (Action::Rearm, Action::None) => Action::Rearm,
        (Action::Rearm, other) => other,
        (end, _) => end,
    }
}

/// Reads byte-wide registers at consecutive offsets, as the ISA bus splits a wide access.
pub(crate) fn read_bytes(offset: u64, data: &mut [u8], mut register: impl FnMut(u64) -> u8) {
    for (at, byte) in (offset..).zip(data) {
        *byte = register(at);
    }
}

/// Writes byte-wide registers at consecutive offsets.
pub(crate) fn write_bytes(
    offset: u64,
    data: &[u8],
    mut register: impl FnMut(u64, u8) -> Action,
) -> Action {
    (offset..)
        .zip(data)
        .fold(Action::None, |so_far, (at, &byte)| {
            stronger(so_far, register(at, byte))
        })
}

/// The first 8 bytes as a little-endian number, missing ones zero.
pub(crate) fn number(data: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(data) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

/// Fills `data` with the little-endian bytes of `value`; what lies beyond it becomes ones.
pub(crate) fn answer(data: &mut [u8], value: u64) {
    answer_bytes(data, &value.to_le_bytes());
}

/// Fills `data` with `value`; what lies beyond it becomes ones.
pub(crate) fn answer_bytes(data: &mut [u8], value: &[u8]) {
    let mut value = value.iter();
    for byte in data {
        *byte = value.next().copied().unwrap_or(0xff);
    }
}

/// Byte `index` of a number, from the least significant; zero beyond it.
pub(crate) fn byte(value: u64, index: u64) -> u8 {
    let shift = u32::try_from(index.saturating_mul(8)).unwrap_or(u32::MAX);
    let [low, ..] = value.checked_shr(shift).unwrap_or(0).to_le_bytes();
    low
}

/// The low 32 bits.
pub(crate) fn low_word(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
