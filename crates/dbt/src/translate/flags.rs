//! What instructions do with the arithmetic flags, and where the guest's are.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, RflagsBits as Bits};

use super::{Guest, deferred, rewrite, x87};

/// Where the guest's arithmetic flags are at a place in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In the host's register alone.
    Host,
    /// In the context alone.
    Saved,
    /// In both.
    Both,
    /// In neither, but they can be made again (`deferred`).
    Deferred,
    /// Wherever they were last: all are overwritten before anybody can look.
    Nowhere,
}

impl State {
    /// Whether those in the context are right.
    pub(crate) fn is_saved(self) -> bool {
        matches!(self, Self::Saved | Self::Both)
    }
}

/// What a block does first with the flags that it is given. What is foretold may be wrong where it is nothing: the
/// translator comes to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It overwrites them all.
    Nothing,
    /// It needs them in the context.
    Saved,
    /// It needs them in the host's register.
    Host,
}

const ALL: u32 = Bits::CF | Bits::PF | Bits::AF | Bits::ZF | Bits::SF | Bits::OF;

/// Whether the host's flags must be the guest's before an instruction: it reads some, or may leave some as they are, as
/// shifts by zero do.
pub(super) fn needs(instruction: &Instruction) -> bool {
    let modified = instruction.rflags_modified() & ALL;
    instruction.rflags_read() & ALL != 0
        || rotates_through_carry(instruction)
        || modified != 0 && (modified != ALL || rewrite::shifts_by_cl(instruction))
}

pub(super) fn modifies(instruction: &Instruction) -> bool {
    instruction.rflags_modified() & ALL != 0 || rotates_through_carry(instruction)
}

/// RCL and RCR may change OF, which is undefined then, even by a count of which nothing is left, as of 9 for bytes, for
/// which iced-x86 says that they leave all flags.
fn rotates_through_carry(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Rcl | Mnemonic::Rcr)
}

/// What a block wants of those who come in.
pub(super) fn wanted(guests: &[Guest], wide: bool) -> Wanted {
    let mut may_fault = false;
    for guest in guests {
        let instruction = &guest.instruction;
        may_fault |= deferred::may_fault(instruction);
        let conditional = instruction.flow_control() == FlowControl::ConditionalBranch;
        let leaves = !guest.native
            || is_foreign(instruction, wide)
            || accesses_memory(instruction)
            || x87::is_here(instruction)
            || !conditional && instruction.flow_control() != FlowControl::Next
            || matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv);
        match () {
            () if conditional => return Wanted::Host,
            () if leaves => return Wanted::Saved,
            () if needs(instruction) => return Wanted::Host,
            () if modifies(instruction) && may_fault => return Wanted::Host,
            () if modifies(instruction) => return Wanted::Nothing,
            () => {}
        }
    }
    Wanted::Saved
}

/// Whether an instruction is executed elsewhere, with all of the state before it, though iced-x86 may say that it leaves
/// the flags undefined.
pub(super) fn is_foreign(instruction: &Instruction, wide: bool) -> bool {
    use Mnemonic as M;
    let here = rewrite::is_plain(instruction)
        || rewrite::shifts_by_cl(instruction)
        || matches!(
            instruction.mnemonic(),
            M::Lea
                | M::Nop
                | M::Reservednop
                | M::Endbr32
                | M::Endbr64
                | M::Cbw
                | M::Cwde
                | M::Cdqe
                | M::Cwd
                | M::Cdq
                | M::Cqo
                | M::Mul
                | M::Imul
                | M::Mulx
                | M::Div
                | M::Idiv
                | M::Lahf
                | M::Sahf
                | M::Cmpxchg
                | M::Bt
                | M::Bts
                | M::Btr
                | M::Btc
        );
    let upper = matches!(instruction.mnemonic(), M::Vzeroupper | M::Vzeroall);
    let here = here || upper && wide;
    let special = (0..instruction.op_count()).any(|operand| {
        let register = instruction.op_register(operand);
        register.is_cr() || register.is_dr() || register.is_segment_register()
    });
    let special = special || rewrite::exchanges_itself(instruction);
    (special || !here) && instruction.flow_control() == FlowControl::Next
}

pub(super) fn accesses_memory(instruction: &Instruction) -> bool {
    if matches!(
        instruction.mnemonic(),
        Mnemonic::Nop | Mnemonic::Reservednop
    ) {
        return false;
    }
    instruction.is_stack_instruction()
        || instruction.mnemonic() != Mnemonic::Lea
            && (0..instruction.op_count()).any(|operand| {
                !matches!(
                    instruction.op_kind(operand),
                    OpKind::Register
                        | OpKind::Immediate8
                        | OpKind::Immediate8_2nd
                        | OpKind::Immediate16
                        | OpKind::Immediate32
                        | OpKind::Immediate64
                        | OpKind::Immediate8to16
                        | OpKind::Immediate8to32
                        | OpKind::Immediate8to64
                        | OpKind::Immediate32to64
                        | OpKind::NearBranch16
                        | OpKind::NearBranch32
                        | OpKind::NearBranch64
                )
            })
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    #[test]
    fn shifts_that_may_be_by_nothing_want_the_flags_that_they_may_leave() {
        // shr rbx, cl; shr rbx, 0; shr rbx, 1
        let codes: [(&[u8], Wanted); 3] = [
            (&[0x48, 0xd3, 0xeb, 0x11, 0xc0], Wanted::Host),
            (&[0x48, 0xc1, 0xeb, 0, 0x11, 0xc0], Wanted::Host),
            (&[0x48, 0xd1, 0xeb, 0x11, 0xc0], Wanted::Nothing),
        ];
        for (code, expected) in codes {
            let decoder = Decoder::new(64, code, DecoderOptions::NONE);
            let guest = |instruction| Guest {
                instruction,
                native: true,
                inside: false,
            };
            let guests: Vec<_> = decoder.into_iter().map(guest).collect();
            assert_eq!(wanted(&guests, true), expected, "{code:x?}");
        }
    }

    #[test]
    fn rotations_through_carry_modify_flags_whatever_is_left_of_their_count() {
        // rcl bl, 41; rcr bl, 9; rcl bx, 17; rcl byte ptr [rax], 18; rcl ebx, 3
        let codes: [&[u8]; 5] = [
            &[0xc0, 0xd3, 41],
            &[0xc0, 0xdb, 9],
            &[0x66, 0xc1, 0xd3, 17],
            &[0xc0, 0x10, 18],
            &[0xc1, 0xd3, 3],
        ];
        for code in codes {
            let instruction = Decoder::new(64, code, DecoderOptions::NONE).decode();
            assert!(modifies(&instruction), "{instruction}");
        }
    }
}
