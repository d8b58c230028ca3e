//! How long it takes until a guest's first instruction.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::bail;

use crate::cargo;

/// Nanoseconds from starting `suz run` to the end of a guest whose first instructions report to the debug-exit
/// port: an upper bound for the time to the first instruction.
pub(crate) fn first_instruction(suz: &Path) -> anyhow::Result<f64> {
    let path = cargo::root().join("target/first-instruction.bin");
    fs::write(&path, kernel())?;
    let start = Instant::now();
    let status = Command::new(suz)
        .args([
            "run",
            "--engine",
            "soft",
            "--memory",
            "128M",
            "--debug-exit",
            "--kernel",
        ])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let time = start.elapsed();
    // Debug-exit value 0x10 is status 0x21.
    if status.code() != Some(0x21) {
        bail!("the smallest guest ended with {status}");
    }
    Ok(time.as_nanos() as f64)
}

/// A flat Multiboot kernel at 1 MiB: header, then `mov al, 0x10; out 0xf4, al; hlt`.
fn kernel() -> Vec<u8> {
    const AT: u32 = 0x10_0000;
    const FLAGS: u32 = 1 << 16;
    const MAGIC: u32 = 0x1bad_b002;
    const HEADER: u32 = 32;
    let end = AT + HEADER + 8;
    let fields = [
        MAGIC,
        FLAGS,
        0_u32.wrapping_sub(MAGIC + FLAGS),
        AT,
        AT,
        end,
        end,
        AT + HEADER,
    ];
    let mut bytes: Vec<u8> = fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect();
    bytes.extend_from_slice(&[0xb0, 0x10, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd, 0x90]);
    bytes
}
