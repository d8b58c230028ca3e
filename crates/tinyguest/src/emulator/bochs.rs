//! Bochs: a guest that finds no debug-exit port prints its memory on the console port, then asks for a shutdown.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Run, finish};
use crate::{End, Error, RECORD, TinyGuest};

pub(super) const PROGRAM: &str = "bochs";

/// What the guest prints before its memory from [`RECORD`] up to 0x1000.
const MARK: &[u8] = b"record:";
const PRINTED: usize = 0x1000 - 0x500;

pub(super) fn run(run: &Run<'_>) -> Result<(Option<End>, Vec<u8>), Error> {
    let log = run.folder.path("log");
    let settings = run.folder.write(
        "settings",
        settings(run.guest, run.rom, run.binary, &log).as_bytes(),
    )?;
    let commands = run.folder.write("commands", b"continue\n")?;
    let mut command = Command::new(PROGRAM);
    command
        .env("TERM", "dumb")
        .arg("-q")
        .arg("-f")
        .arg(settings)
        .arg("-rc")
        .arg(commands);
    let Some(output) = finish(&mut command, "bochs and bochs-term", run.patience)? else {
        return Ok((None, Vec::new()));
    };
    let said = [output.stderr, fs::read(&log).unwrap_or_default()].concat();
    let said = String::from_utf8_lossy(&said);
    if said.contains("Shutdown port: shutdown requested") {
        if let Some(memory) = printed(&output.stdout) {
            let status = memory
                .iter()
                .take(4)
                .rev()
                .fold(0, |sum, &byte| sum << 8 | u32::from(byte));
            let start = usize::try_from(RECORD).unwrap_or_default();
            return Ok((Some(End::Exit(status)), [&vec![0; start], memory].concat()));
        }
        return Ok((Some(End::Reset), Vec::new())); // the ROM ran a second time
    } else if said.contains("exception with no resolution") {
        return Ok((Some(End::Shutdown), Vec::new()));
    }
    let message = said.lines().rev().take(60).collect::<Vec<_>>().join("\n");
    Err(Error::Emulator {
        emulator: PROGRAM,
        message: format!("{}: {message}", output.status),
    })
}

fn printed(console: &[u8]) -> Option<&[u8]> {
    let start = console
        .windows(MARK.len())
        .position(|window| window == MARK)?
        + MARK.len();
    console.get(start..start + PRINTED)
}

fn settings(guest: &TinyGuest, rom: &Path, binary: &Path, log: &Path) -> String {
    format!(
        "config_interface: textconfig\n\
         display_library: term\n\
         plugin_ctrl: unmapped=true, serial=true, biosdev=false, speaker=false, extfpuirq=false, parallel=false\n\
         memory: guest={memory}, host={memory}\n\
         romimage: file={rom}, address=0xffff0000\n\
         vgaromimage: file={rom}\n\
         cpu: model=tigerlake, count={cpus}, ips=50000000, reset_on_triple_fault=0, \
         ignore_bad_msrs=0\n\
         optramimage1: file={binary}, address={load:#x}\n\
         port_e9_hack: enabled=1\n\
         com1: enabled=1, mode=null\n\
         boot: disk\n\
         log: {log}\n\
         panic: action=fatal\n\
         error: action=report\n\
         info: action=report\n\
         debug: action=ignore\n",
        memory = guest.memory >> 20,
        cpus = guest.cpus,
        load = guest.load,
        rom = rom.display(),
        binary = binary.display(),
        log = log.display(),
    )
}
