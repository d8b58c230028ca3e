//! The PVH boot protocol (Xen's "x86/HVM direct boot ABI"): an ELF kernel that names a 32-bit entry in a note.

use x86::state::gpr;

use super::bytes::put;
use super::elf::{Elf, Segment};
use super::{EXPECTED, Entry, Kernel, Request, Target};
use crate::Error;
use crate::layout::{BOOT_INFO, COMMAND_LINE, LOW_END};

const MAGIC: u32 = 0x336e_c578;
const VERSION: u32 = 1;
const START_INFO_LEN: u64 = 56;
const MODULE_LEN: u64 = 32;
const MAP_ENTRY_LEN: usize = 24;

/// What is loaded, and where it is entered.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) segments: Vec<Segment>,
    pub(super) entry: u32,
}

impl Image {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let elf = Elf::parse(bytes)?;
        match elf.pvh_entry(bytes) {
            Some(entry) => Ok(Self {
                entry,
                segments: elf.segments,
            }),
            None => Err(format!(
                "is an ELF file with neither a PVH entry nor a Multiboot header: {EXPECTED}"
            )),
        }
    }
}

pub(super) fn load(
    kernel: &Kernel,
    image: &Image,
    request: &Request,
    target: &Target,
) -> Result<Entry, Error> {
    let end = kernel.load_segments(&image.segments, target)?;
    let module = match request.initrd {
        None => None,
        Some(initrd) => Some(target.load_high(initrd, end, u64::MAX)?),
    };
    let room = (LOW_END.0 - COMMAND_LINE.0 - 1) as usize;
    super::write_command_line(target, request.append, room)?;

    let modules = BOOT_INFO.add(START_INFO_LEN);
    let map_at = modules.add(MODULE_LEN);
    let map = target.layout.map();
    let mut info = vec![0; (START_INFO_LEN + MODULE_LEN) as usize + map.len() * MAP_ENTRY_LEN];
    put(&mut info, 0, &MAGIC.to_le_bytes());
    put(&mut info, 4, &VERSION.to_le_bytes());
    put(&mut info, 24, &COMMAND_LINE.0.to_le_bytes());
    put(&mut info, 32, &target.rsdp.0.to_le_bytes());
    put(&mut info, 40, &map_at.0.to_le_bytes());
    put(&mut info, 48, &(map.len() as u32).to_le_bytes());
    if let Some((at, len)) = module {
        put(&mut info, 12, &1_u32.to_le_bytes());
        put(&mut info, 16, &modules.0.to_le_bytes());
        put(&mut info, START_INFO_LEN as usize, &at.0.to_le_bytes());
        put(&mut info, START_INFO_LEN as usize + 8, &len.to_le_bytes());
    }
    for (index, range) in map.iter().enumerate() {
        let at = (START_INFO_LEN + MODULE_LEN) as usize + index * MAP_ENTRY_LEN;
        put(&mut info, at, &range.start.0.to_le_bytes());
        put(&mut info, at + 8, &range.len.to_le_bytes());
        put(&mut info, at + 16, &(range.kind as u32).to_le_bytes());
    }
    target.ram.write(BOOT_INFO, &info)?;
    Ok(Entry::protected(
        u64::from(image.entry),
        &[(gpr::RBX, BOOT_INFO.0)],
    ))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Loaded};
    use crate::layout::{MIB, Use};

    use super::*;

    #[test]
    fn the_kernel_gets_its_start_info() {
        let file = sample::pvh_elf(0x10_0000, b"\x90\xf4", 0x2000);
        let loaded = Loaded::new(&file, Some(b"initrd!"), "console=ttyS0", 16 * MIB).unwrap();
        let entry = &loaded.entry;
        assert_eq!(entry.rip, 0x10_0000);
        let info = entry.register(gpr::RBX);
        assert_eq!(loaded.u32(info), MAGIC);
        assert_eq!(loaded.u32(info + 12), 1);
        let modules = loaded.u64(info + 16);
        assert_eq!(loaded.bytes(loaded.u64(modules), 7), b"initrd!");
        assert_eq!(loaded.u64(modules + 8), 7);
        assert_eq!(loaded.bytes(loaded.u64(info + 24), 14), b"console=ttyS0\0");
        assert_eq!(loaded.u64(info + 32), sample::RSDP.0);
        let (map, entries) = (loaded.u64(info + 40), loaded.u32(info + 48));
        let last = map + u64::from(entries - 1) * 24;
        assert_eq!(loaded.u64(map), 0);
        assert_eq!(loaded.u32(map + 16), Use::Ram as u32);
        assert_eq!(loaded.u32(last + 16), Use::Reserved as u32);
        assert_eq!(loaded.bytes(0x10_0000, 3), b"\x90\xf4\0");
    }

    #[test]
    fn a_kernel_beyond_memory_says_how_much_it_needs() {
        let file = sample::pvh_elf(0x1000_0000, b"\x90\xf4", 0x2000);
        let error = Loaded::new(&file, None, "", 16 * MIB).unwrap_err();
        assert!(error.to_string().contains("needs at least 257M"), "{error}");
    }

    #[test]
    fn a_kernel_over_the_machines_own_tables_is_refused() {
        let file = sample::pvh_elf(0x1000, b"\x90\xf4", 0x2000);
        let error = Loaded::new(&file, None, "", 16 * MIB).unwrap_err();
        assert!(error.to_string().contains("0x1000 to 0x3000"), "{error}");
    }
}
