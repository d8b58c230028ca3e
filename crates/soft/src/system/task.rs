//! Task switches (SDM vol. 3, chapter 8).
//!
//! A switch has two halves. The first checks the new TSS, saves the old task and loads the new one's registers;
//! it happens or changes nothing. The second loads the descriptors that the new selectors name; its faults
//! belong to the new task already.

mod state;

use x86::cr::{cr0, cr4};
use x86::descriptor::{SegmentRegister, system};
use x86::flags;

use self::state::TaskState;
use super::descriptor::{Found, is_null, null_segment};
use super::stack::contains;
use crate::cpu::Cpu;
use crate::trap::{GP0, R, gp, np, ts};

/// What causes a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// JMP.
    Jump,
    /// CALL, an interrupt or exception: the old task stays busy and is linked to.
    Nest,
    /// IRET with NT set.
    Return,
}

/// The order of selectors in a TSS.
const SELECTORS: [SegmentRegister; 6] = [
    SegmentRegister::Es,
    SegmentRegister::Cs,
    SegmentRegister::Ss,
    SegmentRegister::Ds,
    SegmentRegister::Fs,
    SegmentRegister::Gs,
];

impl Cpu {
    /// The available TSS that a task gate or a far transfer names.
    pub(crate) fn task_descriptor(&mut self, selector: u16) -> R<Found> {
        if selector & 4 != 0 || is_null(selector) {
            return Err(gp(selector & !3));
        }
        let found = self.descriptor_or(selector, gp)?;
        if !found.is_available_tss(self.mode.long) {
            return Err(gp(found.error()));
        }
        if !found.attributes().is_present() {
            return Err(np(found.error()));
        }
        Ok(found)
    }

    /// Switches tasks on behalf of an instruction: `rip` is where the old task goes on.
    pub(crate) fn transfer_to_task(&mut self, found: Found, switch: Switch, rip: u64) -> R {
        let image = self.rflags();
        self.exchange_tasks(found, switch, rip, image)?;
        match self.load_task() {
            Ok(()) => Ok(()),
            Err(trap) => {
                // The fault is the new task's, whose RIP is in place already.
                let exception = trap
                    .exception()
                    .unwrap_or_else(|| GP0.exception().expect("#GP is an exception"));
                self.raise(exception)
            }
        }
    }

    /// Both halves of a switch; a fault of the second leaves the new task's registers in place.
    pub(crate) fn switch_task(&mut self, found: Found, switch: Switch, rip: u64, image: u64) -> R {
        self.exchange_tasks(found, switch, rip, image)?;
        self.load_task()
    }

    /// The first half.
    fn exchange_tasks(&mut self, mut found: Found, switch: Switch, rip: u64, image: u64) -> R {
        let wide = found.attributes().kind() & 8 != 0;
        let (base, limit) = (found.descriptor.base(), found.descriptor.limit());
        if limit < if wide { 0x67 } else { 0x2b } {
            return Err(ts(found.error()));
        }
        let new = if wide {
            TaskState::read32(self, base)?
        } else {
            TaskState::read16(self, base)?
        };
        let pointers = self.task_pointers(&new)?;
        let old_selector = self.tr.selector;
        if switch == Switch::Nest {
            self.check_writable_as(base, 2, self.system_privilege())?;
        }
        self.save_task(
            rip,
            if switch == Switch::Return {
                image & !flags::NT
            } else {
                image
            },
        )?;
        if switch != Switch::Nest
            && let Some(mut old) = self.descriptor(old_selector)?
            && old.is_busy_tss()
        {
            self.mark_busy(&mut old, false)?;
        }
        if switch == Switch::Nest {
            self.store_system(base, old_selector)?;
        }
        if switch != Switch::Return {
            self.mark_busy(&mut found, true)?;
        }
        self.tr = found.segment();
        self.tr.attributes.0 |= 2;
        self.pdpte = pointers;
        self.adopt(&new, switch);
        Ok(())
    }

    /// The PDPTEs that go with the new task's CR3.
    fn task_pointers(&self, new: &TaskState) -> R<[u64; 4]> {
        match new.cr3 {
            Some(cr3) if self.cr0 & cr0::PG != 0 && self.cr4 & cr4::PAE != 0 => {
                self.read_pdptes(u64::from(cr3))
            }
            _ => Ok(self.pdpte),
        }
    }

    fn save_task(&mut self, rip: u64, image: u64) -> R {
        let state = TaskState {
            rip,
            flags: image,
            gpr: std::array::from_fn(|index| self.ctx.gpr[index]),
            selectors: SELECTORS.map(|register| self.segment(register).selector),
            ..TaskState::default()
        };
        let base = self.tr.base;
        if self.tr.attributes.kind() & 8 != 0 {
            state.write32(self, base)
        } else {
            state.write16(self, base)
        }
    }

    /// Loads everything that needs no descriptor.
    fn adopt(&mut self, new: &TaskState, switch: Switch) {
        if let Some(cr3) = new.cr3
            && self.cr0 & cr0::PG != 0
        {
            self.set_cr3(u64::from(cr3), false);
        }
        self.cr0 |= cr0::TS;
        let nested = if switch == Switch::Nest { flags::NT } else { 0 };
        self.set_rflags(new.flags | nested);
        for (register, &value) in self.ctx.gpr.iter_mut().zip(&new.gpr) {
            *register = value;
        }
        self.rip = new.rip;
        self.attend = true;
        // DR7's local enables are the old task's.
        self.dr[5] &= !0x155;
        self.debug_registers_changed();
        let cpl = (new.selectors[1] & 3) as u8;
        for (register, &selector) in SELECTORS.iter().zip(&new.selectors) {
            self.set_segment(*register as u8, null_segment(selector, cpl));
        }
        self.ldtr = null_segment(new.ldt, 0);
        self.refresh_mode();
        if new.trap {
            self.debug_traps |= x86::cr::dr6::BT;
        }
    }

    /// The second half.
    fn load_task(&mut self) -> R {
        let selectors = SELECTORS.map(|register| self.segment(register).selector);
        self.load_task_ldt()?;
        if self.mode.v86 {
            for (register, selector) in SELECTORS.iter().zip(selectors) {
                self.load_real_segment(*register as u8, selector);
            }
        } else {
            let [es, cs, stack, ds, fs, gs] = selectors;
            self.load_task_code(cs)?;
            let cpl = (cs & 3) as u8;
            let segment = self.stack_segment(stack, cpl, false, ts)?;
            self.set_segment(SegmentRegister::Ss as u8, segment);
            self.refresh_mode();
            for (register, selector) in [
                (SegmentRegister::Ds, ds),
                (SegmentRegister::Es, es),
                (SegmentRegister::Fs, fs),
                (SegmentRegister::Gs, gs),
            ] {
                let segment = self.data_segment(selector, ts)?;
                self.set_segment(register as u8, segment);
            }
        }
        if !contains(self.segment(SegmentRegister::Cs), self.rip, 1) {
            return Err(GP0);
        }
        Ok(())
    }

    fn load_task_ldt(&mut self) -> R {
        let selector = self.ldtr.selector;
        if is_null(selector) {
            return Ok(());
        }
        if selector & 4 != 0 {
            return Err(ts(selector & !3));
        }
        let found = self.descriptor_or(selector, ts)?;
        if found.system_kind() != system::LDT || !found.attributes().is_present() {
            return Err(ts(found.error()));
        }
        self.ldtr = found.segment();
        Ok(())
    }

    fn load_task_code(&mut self, selector: u16) -> R {
        if is_null(selector) {
            return Err(ts(0));
        }
        let mut found = self.descriptor_or(selector, ts)?;
        let attributes = found.attributes();
        let rpl = (selector & 3) as u8;
        let level = if attributes.is_conforming() {
            attributes.dpl() <= rpl
        } else {
            attributes.dpl() == rpl
        };
        if !attributes.is_code() || !level {
            return Err(ts(found.error()));
        }
        if !attributes.is_present() {
            return Err(np(found.error()));
        }
        self.mark_accessed(&mut found)?;
        self.set_segment(SegmentRegister::Cs as u8, found.segment());
        Ok(())
    }
}
