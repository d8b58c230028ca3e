//! Debug registers (SDM vol. 3, chapter 18).

use crate::cpu::Cpu;

impl Cpu {
    /// Notes the data watchpoints that an access hit; the trap comes after the instruction.
    pub(crate) fn watchpoint(&mut self, linear: u64, bytes: u64, write: bool) {
        let dr7 = self.dr[5];
        for index in 0..4 {
            let kind = dr7 >> (16 + 4 * index) & 3;
            let len = [1, 2, 8, 4][(dr7 >> (18 + 4 * index) & 3) as usize];
            let enabled = dr7 >> (2 * index) & 3 != 0;
            let start = self.dr[index] & !(len - 1);
            let hit = linear < start.wrapping_add(len) && start < linear.wrapping_add(bytes);
            if enabled && hit && (kind == 3 || kind == 1 && write) {
                self.debug_traps |= 1 << index;
                self.limit = 0;
            }
        }
    }
}
