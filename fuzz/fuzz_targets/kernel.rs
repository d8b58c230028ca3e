//! Kernel files: whatever their bytes, they are refused or loaded.
#![no_main]

use std::path::Path;

use libfuzzer_sys::{Corpus, fuzz_target};
use machine::boot::{Kernel, Request, Target};
use machine::layout::{ACPI, Layout, MIB};
use mem::GuestRam;

fuzz_target!(|bytes: Vec<u8>| -> Corpus {
    let Ok(kernel) = Kernel::parse(Path::new("kernel"), bytes) else {
        return Corpus::Keep;
    };
    let layout = Layout::new(32 * MIB);
    let Ok(ram) = GuestRam::new(&layout.ram()) else {
        return Corpus::Reject;
    };
    let target = Target {
        ram: &ram,
        layout,
        rsdp: ACPI,
    };
    let request = Request {
        initrd: None,
        append: "console=ttyS0",
    };
    let _ = kernel.load(&request, &target);
    Corpus::Keep
});
