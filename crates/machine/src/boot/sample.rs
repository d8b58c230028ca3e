//! Small kernels for tests, and a machine's memory to load them into.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use mem::{Gpa, GuestRam};

use super::bytes::put;
use super::{Entry, Initrd, Kernel, Request, Target};
use crate::Error;
use crate::layout::Layout;

/// What tests pass as the ACPI root pointer.
pub(super) const RSDP: Gpa = Gpa(0xe_0000);
/// Offset of the only segment's virtual address in [`elf32`].
pub(super) const ELF32_VADDR: usize = 52 + 8;

/// An ELF32 file with one segment at `at`, entered at its start.
pub(super) fn elf32(at: u32, code: &[u8], len: u32) -> Vec<u8> {
    const DATA: usize = 52 + 32;
    let mut file = vec![0; DATA];
    put(&mut file, 0, b"\x7fELF\x01\x01\x01");
    put(&mut file, 16, &[2, 0, 3, 0]);
    put(&mut file, 24, &at.to_le_bytes());
    put(&mut file, 28, &52_u32.to_le_bytes());
    put(&mut file, 42, &[32, 0, 1, 0]);
    let words = [1, DATA as u32, at, at, code.len() as u32, len, 7, 4096];
    for (index, word) in words.iter().enumerate() {
        put(&mut file, 52 + index * 4, &word.to_le_bytes());
    }
    file.extend_from_slice(code);
    file
}

/// An ELF64 file with one segment at `at`, and a PVH note that names its start.
pub(super) fn pvh_elf(at: u32, code: &[u8], len: u64) -> Vec<u8> {
    const NOTE: usize = 64 + 2 * 56;
    const DATA: usize = NOTE + 24;
    let mut file = vec![0; DATA];
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &[2, 0, 62, 0]);
    put(&mut file, 32, &64_u64.to_le_bytes());
    put(&mut file, 54, &[56, 0, 2, 0]);
    put(&mut file, 64, &1_u32.to_le_bytes());
    let at = u64::from(at);
    let words = [DATA as u64, at, at, code.len() as u64, len, 4096];
    for (index, word) in words.iter().enumerate() {
        put(&mut file, 64 + 8 + index * 8, &word.to_le_bytes());
    }
    put(&mut file, 120, &4_u32.to_le_bytes());
    put(&mut file, 120 + 8, &(NOTE as u64).to_le_bytes());
    put(&mut file, 120 + 32, &24_u64.to_le_bytes());
    put(&mut file, NOTE, &4_u32.to_le_bytes());
    put(&mut file, NOTE + 4, &8_u32.to_le_bytes());
    put(&mut file, NOTE + 8, &18_u32.to_le_bytes());
    put(&mut file, NOTE + 12, b"Xen\0");
    put(&mut file, NOTE + 16, &at.to_le_bytes());
    file.extend_from_slice(code);
    file
}

/// A bzImage of one setup sector.
pub(super) fn bzimage(version: u16, kernel_64: bool, code: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[0x1f1] = 1;
    put(&mut file, 0x1f4, &((code.len() / 16) as u32).to_le_bytes());
    put(&mut file, 0x1fe, &[0x55, 0xaa, 0xeb, 0x66]);
    put(&mut file, 0x202, b"HdrS");
    put(&mut file, 0x206, &version.to_le_bytes());
    file[0x211] = 1;
    put(&mut file, 0x214, &0x10_0000_u32.to_le_bytes());
    if version >= 0x020a {
        put(&mut file, 0x22c, &0x7fff_ffff_u32.to_le_bytes());
        put(&mut file, 0x230, &0x20_0000_u32.to_le_bytes());
        file[0x234] = 1;
        file[0x236] = u8::from(kernel_64);
        put(&mut file, 0x238, &2047_u32.to_le_bytes());
        put(&mut file, 0x258, &0x100_0000_u64.to_le_bytes());
        put(&mut file, 0x260, &0x40_0000_u32.to_le_bytes());
    }
    file.extend_from_slice(code);
    file
}

/// A Multiboot header without addresses.
pub(super) fn multiboot_header(flags: u32) -> Vec<u8> {
    let checksum = 0_u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    [0x1bad_b002, flags, checksum]
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .collect()
}

/// A flat Multiboot kernel at `at`, entered at `code` 32 bytes on, with a page of bss.
pub(crate) fn multiboot_flat(at: u32, code: &[u8]) -> Vec<u8> {
    let mut file = multiboot_header(1 << 16);
    let end = at + 32 + code.len() as u32;
    for word in [at, at, end, end + 4096, at + 32] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(code);
    file
}

/// A file that is removed with it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(bytes: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("suz-boot-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A kernel loaded into memory.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) entry: Entry,
    pub(super) layout: Layout,
    ram: GuestRam,
}

impl Loaded {
    pub(super) fn new(
        file: &[u8],
        initrd: Option<&[u8]>,
        append: &str,
        memory: u64,
    ) -> Result<Self, Error> {
        let kernel = Kernel::parse(Path::new("test"), file.to_vec())?;
        let layout = Layout::new(memory);
        let ram = GuestRam::new(&layout.ram())?;
        let file = initrd.map(Temporary::new);
        let initrd = file.as_ref().map(|file| Initrd::file(&file.0));
        let request = Request {
            initrd: initrd.as_ref(),
            append,
        };
        let target = Target {
            ram: &ram,
            layout,
            rsdp: RSDP,
        };
        let entry = kernel.load(&request, &target)?;
        Ok(Self { entry, layout, ram })
    }

    pub(super) fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.ram.read(Gpa(at), &mut bytes).unwrap();
        bytes
    }

    pub(super) fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub(super) fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }
}
