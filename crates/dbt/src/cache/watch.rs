//! What is seen of blocks while they run, and what comes of it: they are dropped, to be translated as hot ones, or with
//! accesses that wander by the common table.

use super::{Blocks, heat};
use crate::region::Registers;
use crate::tlb::Wandered;

impl Blocks {
    /// An instruction was left to others. If that was to see which accesses find other pages than the last time, true; and if
    /// it was not by the stack's entry, its block's next translation may be another one: with an entry for several pages, or
    /// none of its own where it does so often.
    pub(super) fn note_wandering(
        &mut self,
        registers: &mut Registers,
        number: u32,
        op: u16,
    ) -> bool {
        let wandered = self.look_for_wandered(registers);
        let own = self
            .wandered
            .is_some_and(|wandered| !wandered.is_by_stack());
        if wandered && own && self.heat.wander(self.blocks[number as usize].key(), op) {
            self.drop_block(number);
        }
        wandered
    }

    /// Code was left: true where that was to see which access has found another page than the last time.
    #[inline(always)]
    pub(super) fn look_for_wandered(&mut self, registers: &mut Registers) -> bool {
        if registers.run.wandered >= 0 {
            return false;
        }
        registers.run.wandered = heat::EACH;
        self.wandered = Some(Wandered {
            table: self.table,
            place: registers.run.wandered_site,
            linear: registers.run.wandered_to,
        });
        true
    }

    /// The access that code was left for last, if that was to see where it went: it may be told to the TLB.
    #[inline(always)]
    pub fn take_wandered(&mut self) -> Option<Wandered> {
        self.wandered.take()
    }

    /// The vCPU was seen at an address.
    #[cold]
    pub(super) fn see(&mut self, at: usize) {
        let Some(number) = self.block_at(at as u64) else {
            return;
        };
        let offset = (at as u64).wrapping_sub(self.area.start()) as u32;
        let offset = offset - self.blocks[number as usize].start;
        let before = self.marks(number).take_while(|mark| mark.at <= offset);
        let last = before.last();
        if last.is_some_and(|mark| mark.turns) {
            self.heat.turn(self.key(number));
        }
        self.see_block(number, last.map_or(0, |mark| mark.op));
    }
}
