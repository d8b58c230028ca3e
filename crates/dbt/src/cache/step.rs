//! What running blocks in lockstep with the interpreter asks of the cache.

use super::{Blocks, Entry};
impl Blocks {
    /// The block and the number of its instruction at which an entry enters.
    pub fn locate(&self, entry: Entry) -> Option<(u32, u16)> {
        let at = entry.address.wrapping_sub(self.area.start()) as u32;
        let number = self
            .blocks
            .partition_point(|block| block.start <= at)
            .checked_sub(1)?;
        let block = &self.blocks[number];
        if at == block.entry_saved() || at == block.entry_host() {
            return Some((number as u32, 0));
        }
        let op = self
            .marks(number as u32)
            .filter(|mark| mark.entry)
            .find(|mark| block.start + mark.at == at)?
            .op;
        Some((number as u32, op))
    }

    /// Whether an instruction is executed elsewhere each time that a block comes to it.
    pub fn is_foreign(&self, block: u32, op: u16) -> bool {
        self.blocks[block as usize].foreign >> op & 1 != 0
    }

    /// The block that a direct way out belongs to, and where it leads.
    pub fn way_out(&self, site: u32) -> (u32, u64) {
        (self.sites.block(site), self.sites.target(site))
    }

    /// Has branches that look for an address in the selected jump table leave by [`super::Left::Landed`], until
    /// [`Blocks::take_off`].
    pub fn land(&mut self, linear: u64) {
        let land = self.area.start() + u64::from(self.thunks.land);
        self.tables.current_mut().set_for_now(linear, land);
    }

    /// Undoes [`Blocks::land`].
    pub fn take_off(&mut self, linear: u64) {
        self.tables.current_mut().remove(linear);
    }
}
