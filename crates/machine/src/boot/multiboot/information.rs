//! The Multiboot information structure (Multiboot 0.6.96, 3.3).

use super::super::Target;
use super::super::bytes::put;
use super::modules::Module;
use crate::Error;
use crate::layout::{BOOT_INFO, BOOT_INFO_END, COMMAND_LINE, EBDA, HIGH_MEMORY, Use};

const MEMORY: u32 = 1 << 0;
const COMMAND: u32 = 1 << 2;
const MODULES: u32 = 1 << 3;
const MAP: u32 = 1 << 6;
const LOADER_NAME: u32 = 1 << 9;

const LOADER: &[u8] = b"suzerain\0";
const LEN: usize = 116;
const MODULE_LEN: usize = 16;

/// Writes the structure and what it points to at [`BOOT_INFO`].
pub(super) fn write(modules: &[Module], target: &Target) -> Result<(), Error> {
    let mut info = vec![0; LEN];
    let high = map_entry_end(target) - HIGH_MEMORY.0;
    field(
        &mut info,
        0,
        u64::from(MEMORY | COMMAND | MODULES | MAP | LOADER_NAME),
    );
    field(&mut info, 4, EBDA.0 >> 10);
    field(&mut info, 8, high >> 10);
    field(&mut info, 16, COMMAND_LINE.0);
    field(&mut info, 20, modules.len() as u64);

    let table = info.len();
    field(&mut info, 24, BOOT_INFO.0 + table as u64);
    info.resize(table + modules.len() * MODULE_LEN, 0);
    for (index, module) in modules.iter().enumerate() {
        let line = append(&mut info, &module.line);
        append(&mut info, &[0]);
        let entry = table + index * MODULE_LEN;
        field(&mut info, entry, module.at.0);
        field(&mut info, entry + 4, module.at.0 + module.len);
        field(&mut info, entry + 8, line);
    }

    let name = append(&mut info, LOADER);
    field(&mut info, 64, name);
    info.resize(info.len().next_multiple_of(8), 0);
    let map = memory_map(target);
    field(&mut info, 44, map.len() as u64);
    let map = append(&mut info, &map);
    field(&mut info, 48, map);

    let room = (BOOT_INFO_END.0 - BOOT_INFO.0) as usize;
    if info.len() > room {
        return Err(Error::CommandLine {
            len: info.len(),
            max: room,
        });
    }
    Ok(target.ram.write(BOOT_INFO, &info)?)
}

/// A 32-bit field.
fn field(info: &mut [u8], at: usize, value: u64) {
    let value = u32::try_from(value).expect("boot information lies below 4 GiB");
    put(info, at, &value.to_le_bytes());
}

/// Puts `bytes` at the end; returns their address.
fn append(info: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    let at = BOOT_INFO.0 + info.len() as u64;
    info.extend_from_slice(bytes);
    at
}

/// End of the RAM that starts at 1 MiB.
fn map_entry_end(target: &Target) -> u64 {
    target.layout.low_end().0.max(HIGH_MEMORY.0)
}

/// Entries of 24 bytes, each led by the size of what follows.
fn memory_map(target: &Target) -> Vec<u8> {
    let mut map = Vec::new();
    for entry in target.layout.map() {
        map.extend_from_slice(&20_u32.to_le_bytes());
        map.extend_from_slice(&entry.start.0.to_le_bytes());
        map.extend_from_slice(&entry.len.to_le_bytes());
        let kind: Use = entry.kind;
        map.extend_from_slice(&(kind as u32).to_le_bytes());
    }
    map
}
