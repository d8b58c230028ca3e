//! A difference, for people.

use std::fmt::Write;

use iced_x86::{Decoder, DecoderOptions, FastFormatter, Instruction};

use super::state::State;
use super::{Point, Trial};
use crate::cpu::Cpu;
use crate::translated::Translation;

impl Cpu {
    /// What code did otherwise than the interpreter: where, the guest's code, registers, memory.
    pub(super) fn describe_difference(
        &self,
        translation: &Translation,
        start: (u32, u16),
        before: &State,
        trial: &Trial,
        (point, actual, memory): (Point, &State, &[u8]),
    ) -> String {
        let mut text = String::new();
        let code = |block| translation.code.get(block);
        let place = |point: Point| match point {
            Point::At(block, op) if code(block).is_some() => {
                let block = translation.code.decode(self.mode, block);
                let op = block.ops.get(usize::from(op));
                let at = op.map_or(0, |op| u64::from(op.at));
                format!(
                    "before the instruction at {:#x}",
                    block.start.wrapping_add(at)
                )
            }
            Point::At(..) => "nowhere".to_owned(),
            Point::Behind(block) => match code(block) {
                Some((start, _)) => format!("behind the block at {start:#x}"),
                None => "elsewhere".to_owned(),
            },
        };
        let first = Point::At(start.0, start.1);
        let _ = writeln!(text, "  entered {}", place(first));
        let _ = writeln!(text, "  the interpreter stopped {}", place(trial.end));
        let _ = writeln!(text, "  translated code left {}", place(point));
        self.list(&mut text, translation, start.0);
        for last in [trial.end, point] {
            let (Point::At(block, _) | Point::Behind(block)) = last;
            if block != start.0 {
                self.list(&mut text, translation, block);
            }
        }
        text += &State::describe(before, &trial.state, actual);
        for (at, one, other) in self.rehearsal.pairs(&trial.memory, memory) {
            let mark = if one == other { "" } else { "  <--" };
            let gpa = self.ram.gpa(at).0;
            let (one, other) = (bytes(one), bytes(other));
            let _ = writeln!(text, "  memory {gpa:#x}: {one} | {other}{mark}");
        }
        text
    }

    /// The instructions of a block, if there is such a one.
    pub(super) fn instructions(&self, translation: &Translation, block: u32) -> Vec<Instruction> {
        let Some((start, bytes)) = translation.code.get(block) else {
            return Vec::new();
        };
        let options = DecoderOptions::FORCE_RESERVED_NOP;
        let decoder = Decoder::with_ip(self.mode.code.bits(), bytes, start, options);
        decoder.into_iter().collect()
    }

    /// Lists the instructions of a block.
    fn list(&self, text: &mut String, translation: &Translation, block: u32) {
        for (number, instruction) in self.instructions(translation, block).iter().enumerate() {
            let mut line = String::new();
            FastFormatter::new().format(instruction, &mut line);
            let foreign = match translation.blocks.is_foreign(block, number as u16) {
                true => "  (interpreted)",
                false => "",
            };
            let _ = writeln!(text, "    {:#x}  {line}{foreign}", instruction.ip());
        }
    }
}

/// At most 32 bytes in hexadecimal.
fn bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(32) {
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > 32 {
        text += "...";
    }
    text
}
