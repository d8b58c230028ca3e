//! Why a guest failed: the record that the include files keep at [`RECORD`], put into words.

use std::fmt::Write as _;
use std::process::Command;

use crate::{End, TinyGuest};

/// Guest-physical address of the record; `tests/guests/include/layout.inc` has its fields.
pub const RECORD: u64 = 0x500;

/// The record's length in bytes.
pub const RECORD_BYTES: usize = 0x100;

/// The status of a guest that took an exception which it did not expect.
const STATUS_TRAP: u32 = 0x1e;
/// Statuses from here on are failed checks.
const STATUS_CHECK: u32 = 0x20;

impl TinyGuest {
    /// One line on how `end` came about, from the [`RECORD_BYTES`] at [`RECORD`]: the check that failed with its
    /// line in the source, or the exception.
    #[must_use]
    pub fn explain(&self, end: End, record: &[u8]) -> String {
        let at = |offset: usize| {
            record
                .get(offset..offset + 8)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, u64::from_le_bytes)
        };
        let mut text = match end {
            End::Shutdown => "shutdown".to_owned(),
            End::Reset => "reset".to_owned(),
            End::Exit(STATUS_TRAP) => format!(
                "unexpected vector {} error {:#x} at {:#x} ({}) cs {:#x} flags {:#x} cr2 {:#x}",
                at(0x20),
                at(0x28),
                at(0x30),
                self.line_of(at(0x30)),
                at(0x38),
                at(0x40),
                at(0x58),
            ),
            End::Exit(status) if (STATUS_CHECK..0x80).contains(&status) => {
                let (check, line) = (at(0) >> 32, self.line_of(at(0x18).wrapping_sub(1)));
                match (at(0x08), at(0x10)) {
                    (found, expected) if found == expected => {
                        format!(
                            "check {check} at {line}: no exception, or a place that must not be reached"
                        )
                    }
                    (found, expected) => {
                        format!("check {check} at {line}: found {found:#x}, expected {expected:#x}")
                    }
                }
            }
            End::Exit(status) => format!("exit with {status:#x}"),
        };
        if at(0x60) != 0 && end != End::Exit(STATUS_TRAP) {
            let _ = write!(
                text,
                "; latest vector {} error {:#x} at {:#x}",
                at(0x20),
                at(0x28),
                at(0x30)
            );
            let _ = write!(
                text,
                " ({}) cr2 {:#x}, {} in all",
                self.line_of(at(0x30)),
                at(0x58),
                at(0x60)
            );
        }
        text
    }

    /// `file.S:12` of an address in the guest's code, or `?`.
    fn line_of(&self, address: u64) -> String {
        let output = Command::new("addr2line")
            .arg("-e")
            .arg(&self.elf)
            .arg(format!("{address:#x}"))
            .output();
        let line = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        match line {
            Ok(line) if !line.is_empty() && !line.starts_with('?') => {
                line.rsplit('/').next().unwrap_or(&line).to_owned()
            }
            _ => "?".to_owned(),
        }
    }
}
