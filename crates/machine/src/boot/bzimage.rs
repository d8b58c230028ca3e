//! The setup header of a Linux bzImage (Documentation/arch/x86/boot.rst of the kernel).

use std::ops::Range;

use super::bytes::{u8, u16, u32, u64};

/// Where the setup header begins, in the file and in `boot_params`.
pub(super) const HEADER: usize = 0x1f1;
/// The most of it that `boot_params` has room for.
const HEADER_END: usize = 0x290;

const LOADED_HIGH: u8 = 1 << 0;
const KERNEL_64: u16 = 1 << 0;

/// A bzImage's header, by the boot protocol's names, with the values that old protocols imply filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Protocol version, 0x020c for 2.12.
    pub(super) version: u16,
    /// The header's bytes.
    pub(super) setup: Vec<u8>,
    /// The protected-mode kernel's bytes in the file.
    pub(super) code: Range<usize>,
    /// Whether there is an entry in 64-bit mode.
    pub(super) kernel_64: bool,
    /// The highest address of the initrd's last byte.
    pub(super) initrd_addr_max: u32,
    /// The alignment of a relocated kernel; a power of two.
    pub(super) alignment: u64,
    /// Whether it may be loaded elsewhere than at its preferred address.
    pub(super) relocatable: bool,
    /// The longest command line, without the terminating zero.
    pub(super) cmdline_size: usize,
    /// The preferred load address.
    pub(super) pref_address: u64,
    /// Bytes that it needs from its load address on, before it looks at the memory map.
    pub(super) init_size: u64,
}

/// Whether the file has a Linux setup header.
pub(super) fn is_bzimage(bytes: &[u8]) -> bool {
    u16(bytes, 0x1fe) == Some(0xaa55) && bytes.get(0x202..0x206) == Some(b"HdrS")
}

impl Header {
    /// From the beginning of a file of `len` bytes.
    pub(super) fn parse(bytes: &[u8], len: u64) -> Result<Self, String> {
        let len = usize::try_from(len).map_err(|_| "a damaged Linux kernel: it has no end")?;
        let mut header = Self::fields(bytes).ok_or("a truncated Linux kernel")?;
        if header.version < 0x0200 || u8(bytes, 0x211).is_none_or(|flags| flags & LOADED_HIGH == 0)
        {
            return Err("a zImage for low memory: expected a bzImage".into());
        }
        let promised = header.code.len();
        let found = len.saturating_sub(header.code.start);
        // The size is told in units of 16 bytes.
        if promised == 0 || found.div_ceil(16) * 16 < promised {
            return Err(format!(
                "a truncated Linux kernel: {} bytes promised, the file has {}",
                header.code.end, len
            ));
        }
        if !header.alignment.is_power_of_two() {
            return Err("a damaged Linux kernel: its alignment is no power of two".into());
        }
        // What follows the promised bytes, such as a signature, is not loaded.
        header.code.end = header.code.end.min(len);
        Ok(header)
    }

    /// Bytes of memory that it needs from its load address on.
    pub(super) fn memory(&self) -> u64 {
        self.init_size.max(self.code.len() as u64)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let setup_sectors = match u8(bytes, 0x1f1)? {
            0 => 4,
            sectors => usize::from(sectors),
        };
        let version = u16(bytes, 0x206)?;
        let since = |least: u16| version >= least;
        let paragraphs = if since(0x0204) {
            u32(bytes, 0x1f4)?
        } else {
            u32::from(u16(bytes, 0x1f4)?)
        };
        let start = (setup_sectors + 1) * 512;
        let len = usize::try_from(u64::from(paragraphs) * 16).ok()?;
        let header_end = 0x202 + usize::from(u8(bytes, 0x201)?);
        Some(Self {
            version,
            setup: bytes.get(HEADER..header_end.min(HEADER_END))?.to_vec(),
            code: start..start.checked_add(len)?,
            kernel_64: since(0x020c) && u16(bytes, 0x236)? & KERNEL_64 != 0,
            initrd_addr_max: if since(0x0203) {
                u32(bytes, 0x22c)?
            } else {
                0x37ff_ffff
            },
            alignment: if since(0x0205) {
                u64::from(u32(bytes, 0x230)?)
            } else {
                0x1000
            },
            relocatable: since(0x0205) && u8(bytes, 0x234)? != 0,
            cmdline_size: match since(0x0206).then(|| u32(bytes, 0x238)) {
                Some(size) => usize::try_from(size?).ok()?,
                None => 255,
            },
            pref_address: if since(0x020a) {
                u64(bytes, 0x258)?
            } else {
                0x10_0000
            },
            init_size: if since(0x020a) {
                u64::from(u32(bytes, 0x260)?)
            } else {
                len as u64
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_modern_header_is_read() {
        let file = sample::bzimage(0x020f, true, &[0x90; 0x400]);
        assert!(is_bzimage(&file));
        let header = Header::parse(&file, file.len() as u64).unwrap();
        assert!(header.kernel_64 && header.relocatable);
        assert_eq!(&file[header.code.clone()], &[0x90; 0x400]);
        assert_eq!(header.pref_address, 0x100_0000);
        assert_eq!(header.cmdline_size, 2047);
    }

    #[test]
    fn old_protocols_imply_what_they_lack() {
        let file = sample::bzimage(0x0202, false, &[0x90; 0x400]);
        let header = Header::parse(&file, file.len() as u64).unwrap();
        assert!(!header.kernel_64 && !header.relocatable);
        assert_eq!(header.cmdline_size, 255);
        assert_eq!(header.pref_address, 0x10_0000);
        assert_eq!(header.initrd_addr_max, 0x37ff_ffff);
    }

    #[test]
    fn every_truncation_is_refused() {
        let file = sample::bzimage(0x020f, true, &[0x90; 0x400]);
        for len in 0x206..=file.len() - 16 {
            let error = Header::parse(&file[..len], len as u64).unwrap_err();
            assert!(error.contains("truncated"), "{len}: {error}");
        }
    }
}
