//! The ELF kernel inside a bzImage (Linux x86 boot protocol, "The Real-Mode Kernel Header").

use crate::{Error, lz4};

/// Offsets from the start of the file.
mod field {
    pub(super) const SETUP_SECTORS: usize = 0x1F1;
    pub(super) const BOOT_FLAG: usize = 0x1FE;
    pub(super) const MAGIC: usize = 0x202;
    pub(super) const VERSION: usize = 0x206;
    pub(super) const PAYLOAD_OFFSET: usize = 0x248;
    pub(super) const PAYLOAD_LENGTH: usize = 0x24C;
    pub(super) const INIT_SIZE: usize = 0x260;
}

/// The first boot protocol whose header says where the payload is and how much memory it needs.
const VERSION: u16 = 0x020A;

/// Ways to pack a kernel that are recognized only to say so.
const OTHERS: [(&[u8], &str); 6] = [
    (b"\xFD7zXZ", "XZ"),
    (b"\x28\xB5\x2F\xFD", "Zstandard"),
    (b"\x1F\x8B", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x89LZO", "LZO"),
    (b"\x5D\0\0", "LZMA"),
];

/// Unpacks the kernel: a stripped ELF file, followed by the relocation table of a relocatable kernel.
///
/// # Errors
/// [`Error::NotBzImage`] for anything else, [`Error::Compression`] if it is packed with another method than LZ4
/// (Debian's cloud kernels up to 6.1 use LZ4, its other kernels XZ and since 6.12 Zstandard), [`Error::Lz4`]
/// where it is damaged.
pub fn vmlinux(bzimage: &[u8]) -> Result<Vec<u8>, Error> {
    let payload = payload(bzimage)?;
    // The build appends the unpacked size, whatever the method.
    let (packed, size) = payload
        .split_last_chunk()
        .ok_or(Error::NotBzImage("its payload is too short"))?;
    let size = u32::from_le_bytes(*size);
    if size > word(bzimage, field::INIT_SIZE)? {
        return Err(Error::NotBzImage(
            "its payload claims more memory than its header",
        ));
    }
    if packed.starts_with(&lz4::MAGIC.to_le_bytes()) {
        let kernel = lz4::unpack(packed, size as usize)?;
        return if kernel.len() == size as usize {
            Ok(kernel)
        } else {
            Err(Error::Lz4("it unpacks to less than it says"))
        };
    }
    if packed.starts_with(b"\x7FELF") {
        return Ok(packed.to_vec());
    }
    let other = OTHERS.iter().find(|(magic, _)| packed.starts_with(magic));
    Err(Error::Compression(
        other.map_or("an unknown method", |(_, name)| name),
    ))
}

fn payload(bzimage: &[u8]) -> Result<&[u8], Error> {
    if half(bzimage, field::BOOT_FLAG)? != 0xAA55
        || word(bzimage, field::MAGIC)? != u32::from_le_bytes(*b"HdrS")
    {
        return Err(Error::NotBzImage("no boot header"));
    }
    if half(bzimage, field::VERSION)? < VERSION {
        return Err(Error::NotBzImage("its boot protocol is older than 2.10"));
    }
    let setup = match bzimage[field::SETUP_SECTORS] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (setup + 1) * 512 + word(bzimage, field::PAYLOAD_OFFSET)? as usize;
    let end = start + word(bzimage, field::PAYLOAD_LENGTH)? as usize;
    bzimage
        .get(start..end)
        .ok_or(Error::NotBzImage("it is cut short"))
}

fn half(bytes: &[u8], offset: usize) -> Result<u16, Error> {
    let field = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    field
        .map(|field| u16::from_le_bytes(*field))
        .ok_or(Error::NotBzImage("it is shorter than a boot header"))
}

fn word(bytes: &[u8], offset: usize) -> Result<u32, Error> {
    let field = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    field
        .map(|field| u32::from_le_bytes(*field))
        .ok_or(Error::NotBzImage("it is shorter than a boot header"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage of one setup sector around a payload, with the unpacked size behind it.
    fn bzimage(packed: &[u8], size: u32) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[field::SETUP_SECTORS] = 1;
        image[field::BOOT_FLAG..][..2].copy_from_slice(&[0x55, 0xAA]);
        image[field::MAGIC..][..4].copy_from_slice(b"HdrS");
        image[field::VERSION..][..2].copy_from_slice(&0x20F_u16.to_le_bytes());
        image[field::PAYLOAD_OFFSET..][..4].copy_from_slice(&16_u32.to_le_bytes());
        let length = u32::try_from(packed.len() + 4).unwrap();
        image[field::PAYLOAD_LENGTH..][..4].copy_from_slice(&length.to_le_bytes());
        image[field::INIT_SIZE..][..4].copy_from_slice(&100_u32.to_le_bytes());
        image.extend_from_slice(&[0; 16]);
        image.extend_from_slice(packed);
        image.extend_from_slice(&size.to_le_bytes());
        image
    }

    const PACKED: [u8; 14] = [
        0x02, 0x21, 0x4C, 0x18, 6, 0, 0, 0, 0x50, 0x7F, b'E', b'L', b'F', b'!',
    ];

    #[test]
    fn lz4_and_plain_payloads() {
        assert_eq!(vmlinux(&bzimage(&PACKED, 5)).unwrap(), b"\x7FELF!");
        assert_eq!(vmlinux(&bzimage(b"\x7FELF?", 5)).unwrap(), b"\x7FELF?");
    }

    #[test]
    fn other_methods_are_named() {
        let error = vmlinux(&bzimage(b"\xFD7zXZ\0", 5)).unwrap_err();
        assert!(error.to_string().contains("packed with XZ"), "{error}");
        let error = vmlinux(&bzimage(b"\x28\xB5\x2F\xFD\0", 5)).unwrap_err();
        assert!(error.to_string().contains("Zstandard"), "{error}");
        let error = vmlinux(&bzimage(b"????????", 5)).unwrap_err();
        assert!(error.to_string().contains("an unknown method"), "{error}");
    }

    #[test]
    fn whatever_is_cut_or_contradicts_itself_is_refused() {
        let whole = bzimage(&PACKED, 5);
        for end in 0..whole.len() {
            assert!(vmlinux(&whole[..end]).is_err(), "cut to {end} bytes");
        }
        assert!(matches!(vmlinux(&bzimage(&PACKED, 4)), Err(Error::Lz4(_))));
        assert!(matches!(vmlinux(&bzimage(&PACKED, 6)), Err(Error::Lz4(_))));
        assert!(matches!(
            vmlinux(&bzimage(&PACKED, 101)),
            Err(Error::NotBzImage(_))
        ));
        let mut old = whole.clone();
        old[field::VERSION] = 7;
        assert!(matches!(vmlinux(&old), Err(Error::NotBzImage(_))));
        let mut huge = whole;
        huge[field::PAYLOAD_OFFSET..][..8].fill(0xFF);
        assert!(matches!(vmlinux(&huge), Err(Error::NotBzImage(_))));
    }
}
