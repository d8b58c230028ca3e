//! RDTSC and RDTSCP: a call out of generated code, which costs half of an exit.

#![allow(unsafe_code, reason = "called by generated code")]

use iced_x86::{Code, Instruction};

use super::register::{HOMES, RAX, RCX, RDI, RSP};
use super::writer::Writer;
use super::{State, Translator};
use crate::Context;
use crate::context::Clock;

/// Numbers of guest registers.
const GUEST_RAX: u8 = 0;
const GUEST_RCX: u8 = 1;
const GUEST_RDX: u8 = 2;

/// Host registers that the C ABI lets a function change.
const CHANGED: [u8; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];

impl Translator<'_> {
    /// Translates an instruction that reads the TSC; false for others, and where the vector registers are in the host's.
    pub(super) fn read_tsc(&mut self, instruction: &Instruction) -> bool {
        let with_aux = instruction.code() == Code::Rdtscp;
        if self.vectors || !with_aux && instruction.code() != Code::Rdtsc {
            return false;
        }
        self.save_flags();
        self.state = State::Saved;
        let slow = self.slow();
        self.out.is_zero32(Context::VECTORS_AWAY);
        self.out.jump_if(4, slow);
        if !self.source.supervisor {
            self.out.is_zero32(Context::USERS_READ_TSC);
            self.out.jump_if(4, slow);
        }
        self.out
            .call(self.frame.thunks + u64::from(self.frame.read_tsc));
        self.out.copy(RCX, RAX);
        self.out.bytes(&[0x48, 0xc1, 0xe9, 32, 0x89, 0xc0]); // shr rcx, 32; mov eax, eax
        self.store_guest(GUEST_RDX, RCX);
        self.store_guest(GUEST_RAX, RAX);
        if with_aux {
            self.out.load32(RAX, Context::TSC_AUX);
            self.store_guest(GUEST_RCX, RAX);
        }
        true
    }
}

/// Writes code that is called, and returns the TSC in RAX; its offset. Changes RCX and the flags. The vector registers must
/// not be in the host's.
pub(super) fn write(out: &mut Writer) -> u32 {
    let kept = |(guest, home): (usize, &Option<u8>)| {
        home.filter(|home| CHANGED.contains(home))
            .map(|home| (guest as i64 * 8, home))
    };
    let homes = || HOMES.iter().enumerate().filter_map(kept);
    out.align();
    let start = out.len();
    homes().for_each(|(place, home)| out.store(place, home));
    out.store(Context::RETURNS, RSP);
    out.load(RSP, Context::HOST_STACK);
    out.bytes(&[0x48, 0x83, 0xe4, 0xf0]); // and rsp, -16
    out.load(RDI, Context::CLOCK);
    out.constant(RAX, tsc as *const () as u64);
    out.bytes(&[0xff, 0xd0]); // call rax
    out.load(RSP, Context::RETURNS);
    homes().for_each(|(place, home)| out.load(home, place));
    out.bytes(&[0xc3]); // ret
    start
}

/// Asks a clock.
///
/// # Safety
/// There is a clock at the address.
unsafe extern "sysv64" fn tsc(clock: *const Clock<'_>) -> u64 {
    // SAFETY: whoever entered code has it there until code is left.
    let clock = unsafe { *clock };
    clock()
}
