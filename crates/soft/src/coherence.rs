//! What a vCPU does so that generated code, which looks at no page flags, stays coherent with memory.
//!
//! See `mem::PageFlags` for the protocol. A vCPU takes requests before it enters generated code, never within it.

use mem::{Offset, PAGE_SHIFT};

use crate::cpu::Cpu;

impl Cpu {
    /// Goes into generated code; false when there are requests, for [`Cpu::take_stale_pages`]. From now until
    /// [`Cpu::leave_code`] the thread waits for nobody.
    #[inline(always)]
    pub(crate) fn enter_code(&self) -> bool {
        self.runner.enter()
    }

    /// Generated code has been left.
    #[inline(always)]
    pub(crate) fn leave_code(&self) {
        self.runner.leave();
    }

    /// Does what others asked for, and returns the pages of RAM whose code may have changed since it was translated:
    /// their translations are to be dropped.
    #[cold]
    pub(crate) fn take_stale_pages(&mut self) -> Vec<u64> {
        let requests = self.runner.take();
        let flags = self.ram.flags();
        if requests.any_told {
            self.mmu.drop_writes(|page| flags.is_told(page.page()));
        }
        for page in requests.told {
            self.mmu.drop_writes_to(Offset(page << PAGE_SHIFT));
        }
        requests.stale
    }

    /// Notes that this vCPU is about to have translated code of a page of RAM, decoded under a version of it. False
    /// when the page was written since.
    pub(crate) fn hold_code(&self, page: u64, version: u32) -> bool {
        self.ram.flags().hold_code(page, self.id, version)
    }
}

#[cfg(test)]
mod tests;
