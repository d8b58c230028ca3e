//! INT3 in the guest's memory, in place of what was there.

use mem::{Gpa, GuestRam};

const INT3: u8 = 0xcc;

/// What was written over, in the order in which that was done.
#[derive(Debug, Default)]
pub(super) struct Plants(Vec<(Gpa, u8)>);

impl Plants {
    /// Writes INT3 over the byte at a place in memory.
    pub(super) fn plant(&mut self, ram: &GuestRam, at: Gpa) {
        let mut old = [0];
        if ram.read(at, &mut old).is_ok() && ram.write(at, &[INT3]).is_ok() {
            self.0.push((at, old[0]));
        }
    }

    /// Puts everything back, but where the guest has written something else meanwhile.
    pub(super) fn pull(&mut self, ram: &GuestRam) {
        // The last first: a place may have been planted twice.
        for (at, old) in std::mem::take(&mut self.0).into_iter().rev() {
            let mut now = [0];
            if ram.read(at, &mut now).is_ok() && now == [INT3] {
                let written = ram.write(at, &[old]);
                debug_assert!(written.is_ok(), "it could be read");
            }
        }
    }
}
