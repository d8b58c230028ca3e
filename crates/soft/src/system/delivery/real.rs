//! Delivery in real mode (SDM vol. 3, 21.1.4).

use x86::descriptor::SegmentRegister;
use x86::flags;

use super::Event;
use crate::cpu::Cpu;
use crate::trap::{GP0, R, gp};

impl Cpu {
    pub(super) fn deliver_real(&mut self, event: &Event) -> R {
        let at = u64::from(event.vector) * 4;
        if at + 3 > u64::from(self.idtr.limit) {
            return Err(gp(event.idt_error()));
        }
        let entry: u32 = self.load_system(self.idtr.base.wrapping_add(at))?;
        let (ip, cs) = (u64::from(entry & 0xffff), (entry >> 16) as u16);
        let selector = self.segment(SegmentRegister::Cs).selector;
        let stack = self.stack();
        if ip > u64::from(self.segment(SegmentRegister::Cs).limit) {
            return Err(GP0);
        }
        let pointer = self.push_words(&stack, &[event.flags, u64::from(selector), event.rip], 2)?;
        self.set_stack_pointer(stack.mask, pointer);
        self.flags &= !(flags::IF | flags::TF | flags::AC | flags::RF);
        self.load_real_segment(SegmentRegister::Cs as u8, cs);
        self.rip = ip;
        Ok(())
    }
}
