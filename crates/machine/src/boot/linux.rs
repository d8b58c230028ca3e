//! The Linux boot protocol: 64-bit entry where the kernel has one, else 32-bit.

use mem::{Gpa, PAGE_SIZE};
use x86::state::gpr;

use super::bytes::put;
use super::bzimage::{HEADER, Header};
use super::elf::Segment;
use super::{Entry, Kernel, Request, Target};
use crate::Error;
use crate::layout::{COMMAND_LINE, HIGH_MEMORY, LOW_END, ZERO_PAGE};

/// Offset of the 64-bit entry from the start of the loaded kernel.
const ENTRY_64: u64 = 0x200;
/// A boot loader without a registered number.
const LOADER_OTHER: u8 = 0xff;
const E820_MAX: usize = 128;

pub(super) fn load(
    kernel: &Kernel,
    header: &Header,
    request: &Request,
    target: &Target,
) -> Result<Entry, Error> {
    let start = address(header, target).map_err(|problem| super::refusal(&kernel.blob, problem))?;
    let code = Segment {
        at: start,
        linked_at: start,
        file: header.code.clone(),
        len: header.memory(),
    };
    kernel.load_part(&code, target)?;
    let end = start + code.len;
    let initrd = match request.initrd {
        None => None,
        Some(initrd) => {
            let top = u64::from(header.initrd_addr_max) + 1;
            Some(target.load_high(initrd, end, top)?)
        }
    };
    command_line(header, request.append, target)?;
    let page = zero_page(header, start, initrd, target);
    target.ram.write(ZERO_PAGE, &page)?;
    Ok(if header.kernel_64 {
        Entry::long(start + ENTRY_64, ZERO_PAGE)
    } else {
        Entry::protected(start, &[(gpr::RSI, ZERO_PAGE.0)])
    })
}

/// The preferred address, or, for a relocatable kernel that has no room there, the lowest one.
fn address(header: &Header, target: &Target) -> Result<u64, String> {
    let len = header.memory();
    let preferred = target.check(header.pref_address, len);
    if preferred.is_err() && header.relocatable {
        let lowest = HIGH_MEMORY.0.next_multiple_of(header.alignment);
        return target.check(lowest, len).map(|()| lowest);
    }
    preferred.map(|()| header.pref_address)
}

fn command_line(header: &Header, text: &str, target: &Target) -> Result<(), Error> {
    let room = (LOW_END.0 - COMMAND_LINE.0 - 1) as usize;
    super::write_command_line(target, text, header.cmdline_size.min(room))
}

/// `struct boot_params`.
fn zero_page(header: &Header, start: u64, initrd: Option<(Gpa, u64)>, target: &Target) -> Vec<u8> {
    let mut page = vec![0; PAGE_SIZE as usize];
    put(&mut page, 0x070, &target.rsdp.0.to_le_bytes());
    put(&mut page, HEADER, &header.setup);
    page[0x210] = LOADER_OTHER;
    put(&mut page, 0x214, &low(start));
    if let Some((at, len)) = initrd {
        put(&mut page, 0x218, &low(at.0));
        put(&mut page, 0x21c, &low(len));
    }
    put(&mut page, 0x228, &low(COMMAND_LINE.0));
    let map = target.layout.map();
    page[0x1e8] = map.len().min(E820_MAX) as u8;
    for (index, entry) in map.iter().take(E820_MAX).enumerate() {
        let at = 0x2d0 + index * 20;
        put(&mut page, at, &entry.start.0.to_le_bytes());
        put(&mut page, at + 8, &entry.len.to_le_bytes());
        put(&mut page, at + 16, &(entry.kind as u32).to_le_bytes());
    }
    page
}

/// An address or length that was placed below 4 GiB.
fn low(value: u64) -> [u8; 4] {
    u32::try_from(value)
        .expect("kernels and initrds are placed below 4 GiB")
        .to_le_bytes()
}

#[cfg(test)]
mod tests;
