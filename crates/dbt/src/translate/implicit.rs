//! Instructions that use registers which they don't name: the host's of the same name are scratch, so the guest's are
//! moved there and back.

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use super::probe::{Address, Place};
use super::register::{self, RAX, RCX, STACK};
use super::rewrite::{self, Free};
use super::{State, Translator, flags};
use crate::Context;

/// Numbers of guest registers.
const GUEST_RAX: u8 = 0;
const GUEST_RCX: u8 = 1;

impl Translator<'_> {
    /// Translates an instruction with implicit registers; false when it is none, or can't be done here.
    pub(super) fn implicit(&mut self, instruction: &Instruction) -> bool {
        use Mnemonic as M;
        match instruction.mnemonic() {
            M::Mul | M::Div | M::Idiv => self.multiply(instruction),
            M::Imul if instruction.op_count() == 1 => self.multiply(instruction),
            M::Cmpxchg if rewrite::exchanges_itself(instruction) => false,
            M::Cmpxchg => self.compare_exchange(instruction),
            M::Mulx => self.with(instruction, &[], &[]),
            // Outside 64-bit mode half of the registers stay.
            M::Vzeroupper | M::Vzeroall if self.source.wide => {
                self.need_vectors();
                self.out.try_add(instruction)
            }
            M::Pcmpestri | M::Pcmpestri64 | M::Vpcmpestri | M::Vpcmpestri64 => {
                self.with(instruction, &[(RAX, GUEST_RAX)], &[(GUEST_RCX, RCX)])
            }
            M::Pcmpestrm | M::Pcmpestrm64 | M::Vpcmpestrm | M::Vpcmpestrm64 => {
                self.with(instruction, &[(RAX, GUEST_RAX)], &[])
            }
            M::Pcmpistri | M::Vpcmpistri => self.with(instruction, &[], &[(GUEST_RCX, RCX)]),
            M::Lahf => {
                self.restore_flags();
                self.load_guest(RAX, GUEST_RAX);
                self.out.bytes(&[0x9f]);
                self.store_guest(GUEST_RAX, RAX);
                true
            }
            M::Sahf => {
                // OF stays.
                self.restore_flags();
                self.load_guest(RAX, GUEST_RAX);
                self.out.bytes(&[0x9e]);
                self.state = State::Host;
                true
            }
            M::Cmpxchg16b | M::Cmpxchg8b => self.compare_exchange_pair(instruction),
            M::Bt | M::Bts | M::Btr | M::Btc => self.bit_in_memory(instruction),
            _ if rewrite::shifts_by_cl(instruction) => self.shift_by_cl(instruction),
            _ => self.extend(instruction),
        }
    }

    /// Runs an instruction with host registers loaded from guest registers before, and guest registers stored from
    /// the host's afterwards.
    pub(super) fn with(
        &mut self,
        instruction: &Instruction,
        reads: &[(u8, u8)],
        writes: &[(u8, u8)],
    ) -> bool {
        if rewrite::names_vectors(instruction) {
            self.need_vectors();
            self.hold_flags();
        }
        let Some(place) = self.memory(instruction) else {
            return false;
        };
        self.with_place(instruction, place, reads, writes)
    }

    fn with_place(
        &mut self,
        instruction: &Instruction,
        place: Option<Place>,
        reads: &[(u8, u8)],
        writes: &[(u8, u8)],
    ) -> bool {
        let mut taken = [RCX; 6];
        let mut count = usize::from(place.is_some());
        for &host in reads.iter().map(|(host, _)| host) {
            taken[count] = host;
            count += 1;
        }
        for &host in writes.iter().map(|(_, host)| host) {
            taken[count] = host;
            count += 1;
        }
        if flags::needs(instruction) {
            self.restore_flags();
        }
        for &(host, guest) in reads {
            self.load_guest(host, guest);
        }
        // The flags are where they must be, so nothing changes RAX any more.
        if !self.rewrite(instruction, place, Free::new(&taken[..count])) {
            return false;
        }
        for &(guest, host) in writes {
            self.store_guest(guest, host);
        }
        true
    }

    /// Multiplications and divisions of RDX:RAX; RDX is at home in RDX.
    fn multiply(&mut self, instruction: &Instruction) -> bool {
        if matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv) {
            // What a division by zero finds must be exact.
            self.save_flags();
        }
        self.with(instruction, &[(RAX, GUEST_RAX)], &[(GUEST_RAX, RAX)])
    }

    /// Bit tests whose register selects one of many words of memory.
    fn bit_in_memory(&mut self, instruction: &Instruction) -> bool {
        let register = instruction.op1_register();
        if instruction.op0_kind() != OpKind::Memory || instruction.op1_kind() != OpKind::Register {
            return false;
        }
        let (bytes, shift, mask) = match register.size() {
            8 => (8, 6, Context::MASK_63),
            4 => (4, 5, Context::MASK_31),
            _ => return false,
        };
        if !self.source.wide || instruction.memory_base().size() == 4 {
            return false;
        }
        self.save_flags();
        let write = instruction.mnemonic() != Mnemonic::Bt;
        let Some(address) = self.linear(instruction) else {
            return false;
        };
        match address {
            Address::In(held) => self.out.copy(RCX, held),
            Address::Fixed(linear) => self.out.constant(RCX, linear),
            Address::Stack(displacement) => self.out.lea(RCX, STACK, displacement),
        }
        let number = register::number(register);
        self.load_guest(RAX, number);
        if bytes == 4 {
            self.out.bytes(&[0x48, 0x98]); // cdqe
        }
        self.out.bytes(&[0x48, 0xc1, 0xf8, shift]); // sar rax, shift
        // lea rcx, [rcx + rax * bytes]
        let scale = if bytes == 8 { 0xc1 } else { 0x81 };
        self.out.bytes(&[0x48, 0x8d, 0x0c, scale]);
        let Some(mut place) = self.probe(Address::In(RCX), bytes, write) else {
            return false;
        };
        if rewrite::is_locked(instruction) {
            place = self.whole(place, bytes);
        }
        self.restore_flags();
        self.load_guest(RAX, number);
        let mut body = *instruction;
        rewrite::set_memory(&mut body, place);
        // The register that selects the bit: what is beyond the word has been added to the address.
        let mask = self.out.in_context(mask);
        let cut = Instruction::with3(
            Code::VEX_Pdep_r64_r64_rm64,
            Register::RAX,
            Register::RAX,
            mask,
        );
        self.out.add(&cut.expect("operands of PDEP"));
        body.set_op1_register(register::part(RAX, register));
        self.mark(false);
        self.out.add(&body);
        self.state = State::Host;
        true
    }

    fn shift_by_cl(&mut self, instruction: &Instruction) -> bool {
        let Some(place) = self.memory(instruction) else {
            return false;
        };
        self.restore_flags();
        let place = place.map(|place| {
            // RCX is to hold the count.
            self.out.copy(RAX, RCX);
            Place { base: RAX, ..place }
        });
        let mut body = *instruction;
        if let Some(place) = place {
            rewrite::set_memory(&mut body, place);
        }
        self.load_guest(RCX, GUEST_RCX);
        let taken: &[u8] = if place.is_some() { &[RCX, RAX] } else { &[RCX] };
        // CL itself is not to be mapped.
        let mut free = Free::new(taken);
        let mut borrowed: [Option<(u8, u8)>; 2] = [None; 2];
        let last = instruction.op_count() - 1;
        for operand in 0..last {
            let guest = instruction.op_register(operand);
            if !guest.is_gpr() {
                continue;
            }
            let number = register::number(guest);
            let high = register::is_high(guest);
            let host = match register::home(guest) {
                Some(home) if !high => home,
                _ => {
                    let Some(scratch) = free.take() else {
                        return false;
                    };
                    borrowed[operand as usize] = Some((scratch, number));
                    scratch
                }
            };
            body.set_op_register(operand, register::part(host, guest));
        }
        for &(scratch, guest) in borrowed.iter().flatten() {
            self.load_guest(scratch, guest);
        }
        self.mark(false);
        if !self.out.try_add(&body) {
            return false;
        }
        for &(scratch, guest) in borrowed.iter().flatten() {
            self.store_guest(guest, scratch);
        }
        self.state = State::Host;
        true
    }

    /// CBW to CQO.
    fn extend(&mut self, instruction: &Instruction) -> bool {
        let with2 = |code, to, from| Instruction::with2(code, to, from).expect("operands of MOVSX");
        let sign = match instruction.code() {
            Code::Cbw => with2(Code::Movsx_r16_rm8, Register::R8W, Register::R8L),
            Code::Cwde => with2(Code::Movsx_r32_rm16, Register::R8D, Register::R8W),
            Code::Cdqe => with2(Code::Movsxd_r64_rm32, Register::R8, Register::R8D),
            Code::Cwd | Code::Cdq | Code::Cqo => {
                self.load_guest(RAX, GUEST_RAX);
                self.out.add(instruction);
                return true;
            }
            _ => return false,
        };
        self.out.add(&sign);
        true
    }
}
