//! Makes a program that disagrees small enough to read, and writes it down.

use std::fmt::Write;

use iced_x86::{FastFormatter, Instruction, Mnemonic};
use x86::state::gpr::NAMES;

use super::{Finding, Weave};
use crate::case::Outcome;
use crate::compare::hex;
use crate::fuzz::{Error, simplifications};
use crate::program::{Flow, Program};

impl Weave {
    /// Takes away instructions, then registers' values, as long as somebody disagrees. A name, and the text.
    pub(super) fn minimize(
        &mut self,
        program: &Program,
        finding: Finding,
    ) -> Result<(String, String), Error> {
        let mut best = (program.clone(), finding);
        let mut size = program.instructions().len();
        while size > 0 {
            let mut at = 0;
            loop {
                let left: Vec<Instruction> = best
                    .0
                    .instructions()
                    .into_iter()
                    .filter(|instruction| !is_fixed(instruction, &best.0))
                    .collect();
                let Some(tried) = left.get(at..left.len().min(at + size)) else {
                    break;
                };
                if tried.is_empty() {
                    break;
                }
                match self.still(best.0.without(tried))? {
                    Some(smaller) => best = smaller,
                    None => at += size,
                }
            }
            size /= 2;
        }
        for simpler in simplifications() {
            let mut program = best.0.clone();
            simpler(&mut program.case);
            if let Some(found) = self.still(program)? {
                best = found;
            }
        }
        let key: Vec<String> = best
            .0
            .instructions()
            .iter()
            .filter(|instruction| !is_fixed(instruction, &best.0))
            .take(4)
            .map(|instruction| format!("{:?}", instruction.code()))
            .collect();
        let text = describe(&best.0, &best.1);
        Ok((format!("program {}", key.join(" ")), text))
    }

    /// The program and what it shows, if that is still something.
    fn still(&mut self, program: Program) -> Result<Option<(Program, Finding)>, Error> {
        let Some(flow) = Flow::of(&program) else {
            return Ok(None);
        };
        let Some((_, stepwise)) = self.ways.first_mut() else {
            return Ok(None);
        };
        let outcome = stepwise.run_program(&program);
        if outcome.is_ok_and(|outcome| has_no_end(&program, &outcome)) {
            return Ok(None);
        }
        let Ok(natives) = self.native(std::slice::from_ref(&program.case))? else {
            return Ok(None);
        };
        let finding = self.judge(&program, &flow, natives.first());
        Ok(finding.map(|finding| (program, finding)))
    }
}

/// Whether a program runs for ever, or into what lies behind its code: INT3s that only the host takes for an end.
fn has_no_end(program: &Program, outcome: &Outcome) -> bool {
    let astray = || program.instruction_at(outcome.registers.rip).is_none();
    outcome.vector == Outcome::ENDLESS || outcome.vector != Outcome::COMPLETED && astray()
}

/// NOPs, and the end.
fn is_fixed(instruction: &Instruction, program: &Program) -> bool {
    instruction.mnemonic() == Mnemonic::Nop || instruction.ip() == program.end()
}

/// The program for people: its instructions but for NOPs, the state it starts from, and what differs.
pub(super) fn describe(program: &Program, finding: &Finding) -> String {
    let case = &program.case;
    let mut report = format!("{} [{:?}]\n", finding.title, case.bits);
    let mut formatter = FastFormatter::new();
    for instruction in program.instructions() {
        if instruction.mnemonic() == Mnemonic::Nop {
            continue;
        }
        let at = (instruction.ip() - case.registers.rip) as usize;
        let bytes: Vec<_> = case.code[at..at + instruction.len()]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        let _ = writeln!(
            report,
            " {:#x}  {:32} {text}",
            instruction.ip(),
            bytes.join(" ")
        );
    }
    let registers = &case.registers;
    for (name, value) in NAMES.iter().zip(&registers.gpr) {
        let _ = write!(report, " {name}={value:#x}");
    }
    let _ = writeln!(
        report,
        "\n rip={:#x} rflags={:#x} data_seed={:#x}",
        registers.rip, registers.rflags, case.data_seed
    );
    let _ = writeln!(report, " xsave={}", hex(&registers.xsave));
    for line in &finding.lines {
        let _ = writeln!(report, "   {line}");
    }
    report
}
