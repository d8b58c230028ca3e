//! Where guest registers live.

use iced_x86::Register;

/// Numbers of host registers that generated code uses freely.
pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
/// The host's stack pointer, on the return-address stack.
pub(super) const RSP: u8 = 4;
/// The first argument of a function.
pub(super) const RDI: u8 = 7;
/// The host's number of guest RSP.
pub(super) const STACK: u8 = 11;

/// The host's register for each guest register; `None` for those that live in the context.
pub(super) const HOMES: [Option<u8>; 16] = [
    Some(8),
    Some(9),
    Some(2),
    Some(3),
    Some(STACK),
    Some(5),
    Some(6),
    Some(7),
    Some(10),
    None,
    None,
    None,
    Some(12),
    Some(13),
    Some(14),
    Some(15),
];

/// Homes of guest registers that are not in a set of them, as bits.
pub(super) fn free_homes(used: u16) -> impl Iterator<Item = u8> {
    let homes = HOMES.into_iter().enumerate();
    homes
        .filter(move |(guest, _)| used >> guest & 1 == 0)
        .filter_map(|(_, home)| home)
}

/// Number of the 64-bit register that holds a general register.
pub(super) fn number(register: Register) -> u8 {
    register.full_register().number() as u8
}

/// The host's home of a guest's general register.
pub(super) fn home(register: Register) -> Option<u8> {
    HOMES[usize::from(number(register))]
}

pub(super) fn is_high(register: Register) -> bool {
    matches!(
        register,
        Register::AH | Register::CH | Register::DH | Register::BH
    )
}

/// The 64-bit register with a number.
pub(super) fn wide(number: u8) -> Register {
    Register::RAX + u32::from(number)
}

/// The part of host register `number` that has the width (and height) of `like`; high bytes exist in the first four.
pub(super) fn part(number: u8, like: Register) -> Register {
    let number = u32::from(number);
    match like.size() {
        8 => Register::RAX + number,
        4 => Register::EAX + number,
        2 => Register::AX + number,
        _ if is_high(like) => Register::AH + number,
        // AL to BL, then AH to BH, then SPL and on.
        _ if number < 4 => Register::AL + number,
        _ => Register::SPL + (number - 4),
    }
}
