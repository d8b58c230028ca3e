//! QEMU: RAM is a shared file, so that memory can be read after the end.

use std::fs::File;
use std::io::Read as _;
use std::process::Command;

use super::{Run, finish};
use crate::{End, Error};

pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// How much of RAM, from address 0, is read back.
const LOW: u64 = 0x10_0000;

pub(super) fn run(
    accelerator: &'static str,
    run: &Run<'_>,
) -> Result<(Option<End>, Vec<u8>), Error> {
    let ram = run.folder.path("ram");
    let mut command = Command::new(PROGRAM);
    command
        .args([
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            "null",
            "-cpu",
            "max",
        ])
        .arg("-machine")
        .arg(format!("pc,accel={accelerator},memory-backend=ram"))
        .arg("-object")
        .arg(format!(
            "memory-backend-file,id=ram,share=on,size={},mem-path={}",
            run.guest.memory,
            ram.display()
        ))
        .arg("-m")
        .arg(format!("{}M", run.guest.memory >> 20))
        .arg("-smp")
        .arg(run.guest.cpus.to_string())
        .arg("-bios")
        .arg(run.rom)
        .arg("-device")
        .arg(format!(
            "loader,addr={:#x},force-raw=on,file={}",
            run.guest.load,
            run.binary.display()
        ))
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    let Some(output) = finish(&mut command, "qemu-system-x86", run.patience)? else {
        return Ok((None, Vec::new()));
    };
    let mut low = Vec::new();
    File::open(&ram)
        .and_then(|file| file.take(LOW).read_to_end(&mut low))
        .map_err(|source| Error::read(&ram, source))?;
    let end = match output.status.code() {
        // It leaves by 0 after a triple fault and a reset alike.
        Some(0) if run.guest.expect.end == End::Reset => End::Reset,
        Some(0) => End::Shutdown,
        Some(code) if code & 1 == 1 && output.stderr.is_empty() => {
            End::Exit(u32::try_from(code).unwrap_or_default() >> 1)
        }
        _ => {
            let message = format!(
                "{}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
            return Err(Error::Emulator {
                emulator: accelerator,
                message,
            });
        }
    };
    Ok((Some(end), low))
}
