//! Delivery in protected and virtual-8086 mode (SDM vol. 3, 6.12 and 21.3).

use x86::descriptor::{Attributes, Segment, SegmentRegister, system};
use x86::flags;

use super::Event;
use super::gate::Gate;
use crate::cpu::Cpu;
use crate::system::descriptor::{Found, null_segment};
use crate::system::stack::{Stack, contains};
use crate::system::task::Switch;
use crate::trap::{GP0, R, gp, ts};

impl Cpu {
    pub(super) fn deliver_protected(&mut self, event: &Event) -> R {
        let gate = self.gate(event)?;
        if gate.kind == system::TASK_GATE {
            return self.deliver_task(event, gate.selector);
        }
        let mut code = self.handler(gate.selector)?;
        let attributes = code.attributes();
        let inner = !attributes.is_conforming() && attributes.dpl() < self.mode.cpl;
        if self.mode.v86 && (!inner || attributes.dpl() != 0) {
            return Err(gp(code.error()));
        }
        if !contains(&code.segment(), gate.offset, 1) {
            return Err(GP0);
        }
        let cpl = if inner {
            attributes.dpl()
        } else {
            self.mode.cpl
        };
        let stack = if inner {
            self.inner_stack(cpl)?
        } else {
            self.stack()
        };
        self.mark_accessed(&mut code)?;
        let (words, count) = self.frame(event, inner);
        let bytes = if gate.kind & 8 != 0 { 4 } else { 2 };
        let pointer = self.push_words(&stack, &words[..count], bytes)?;
        self.enter_handler(&gate, &code, cpl, inner.then_some(stack.segment));
        self.set_stack_pointer(stack.mask, pointer);
        Ok(())
    }

    /// The words to push, in order, and how many they are.
    fn frame(&self, event: &Event, inner: bool) -> ([u64; 10], usize) {
        let selector = |register| u64::from(self.segment(register).selector);
        let mut words = [0; 10];
        let mut count = 0;
        let mut put = |list: &[u64]| {
            words[count..count + list.len()].copy_from_slice(list);
            count += list.len();
        };
        if self.mode.v86 {
            put(&[
                selector(SegmentRegister::Gs),
                selector(SegmentRegister::Fs),
                selector(SegmentRegister::Ds),
                selector(SegmentRegister::Es),
            ]);
        }
        if inner {
            put(&[
                selector(SegmentRegister::Ss),
                self.ctx.gpr[x86::state::gpr::RSP],
            ]);
        }
        put(&[event.flags, selector(SegmentRegister::Cs), event.rip]);
        if let Some(error) = event.error {
            put(&[u64::from(error)]);
        }
        (words, count)
    }

    /// Sets flags, code and stack segment for a handler.
    fn enter_handler(&mut self, gate: &Gate, code: &Found, cpl: u8, stack: Option<Segment>) {
        if self.mode.v86 {
            for register in [
                SegmentRegister::Es,
                SegmentRegister::Ds,
                SegmentRegister::Fs,
                SegmentRegister::Gs,
            ] {
                self.set_segment(register as u8, null_segment(0, 0));
            }
        }
        self.flags &= !(flags::TF | flags::NT | flags::RF | flags::VM);
        if gate.is_interrupt() {
            self.flags &= !flags::IF;
        }
        let mut segment = code.segment();
        segment.selector = segment.selector & !3 | u16::from(cpl);
        self.set_segment(SegmentRegister::Cs as u8, segment);
        if let Some(stack) = stack {
            self.set_segment(SegmentRegister::Ss as u8, stack);
        }
        self.refresh_mode();
        self.rip = gate.offset;
    }

    /// The stack that the TSS has for an inner privilege level, outside long mode (SDM vol. 3, 5.8.5).
    pub(crate) fn inner_stack(&mut self, cpl: u8) -> R<Stack> {
        let (pointer, selector) = self.tss_stack(cpl)?;
        let segment = self.stack_segment(selector, cpl, false, ts)?;
        let privilege = self.privilege_at(cpl);
        Ok(Stack::new(segment, pointer, privilege, selector & !3))
    }

    fn tss_stack(&mut self, cpl: u8) -> R<(u64, u16)> {
        let wide = self.tr.attributes.kind() & 8 != 0;
        let size = if wide { 4 } else { 2 };
        let offset = size + 2 * size * u64::from(cpl);
        if offset + 2 * size - 1 > u64::from(self.tr.limit) {
            return Err(ts(self.tr.selector & !3));
        }
        let at = self.tr.base.wrapping_add(offset);
        let pointer = if wide {
            u64::from(self.load_system::<u32>(at)?)
        } else {
            u64::from(self.load_system::<u16>(at)?)
        };
        Ok((pointer, self.load_system(at.wrapping_add(size))?))
    }

    /// An event through a task gate (SDM vol. 3, 6.12.2).
    fn deliver_task(&mut self, event: &Event, selector: u16) -> R {
        let found = self.task_descriptor(selector)?;
        self.switch_task(found, Switch::Nest, event.rip, event.flags)?;
        if let Some(error) = event.error {
            let wide = self.tr.attributes.kind() & 8 != 0;
            let stack = self.stack();
            let pointer = self.push_words(&stack, &[u64::from(error)], if wide { 4 } else { 2 })?;
            self.set_stack_pointer(stack.mask, pointer);
        }
        let code = self.segment(SegmentRegister::Cs);
        if code.attributes.0 & Attributes::UNUSABLE == 0 && !contains(code, self.rip, 1) {
            return Err(GP0);
        }
        Ok(())
    }
}
