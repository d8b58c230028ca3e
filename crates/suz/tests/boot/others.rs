//! Guests that are not a Linux kernel with our user space.

use image::Known;

use crate::guest::{Spec, known};

#[test]
fn installer_comes_to_its_first_menu() {
    let Some(installer) = known(Known::Installer) else {
        return;
    };
    let initrd = installer
        .initrd
        .as_ref()
        .expect("the installer has an initrd");
    let mut guest = Spec::new(&installer.path)
        .with("--initrd", initrd.to_str().expect("a path in UTF-8"))
        .with("--append", "console=ttyS0 quiet")
        .with("--memory", "1G")
        .start();
    guest.expect("Select a language");
}

fn memtest(image: Known) {
    let Some(memtest) = known(image) else { return };
    let mut guest = Spec::new(&memtest.path)
        .with("--append", "console=ttyS0,115200 nosmp")
        .with("--memory", "16M")
        .start();
    guest.expect("Memtest86+");
    // The status after a whole pass in which nothing was wrong; its banner is for the screen alone.
    let said = guest.expect("Status: Pass");
    assert!(said.contains("Errors: 0"), "{said}");
}

#[test]
fn memtest_64_bit_passes() {
    memtest(Known::Memtest64);
}

#[test]
fn memtest_32_bit_passes() {
    memtest(Known::Memtest32);
}

#[test]
fn gnu_mach_reaches_its_own_message() {
    let Some(mach) = known(Known::GnuMach) else {
        return;
    };
    let mut guest = Spec::new(&mach.path)
        .with("--append", "console=com0")
        .with("--memory", "128M")
        .start();
    guest.expect("GNU Mach");
    guest.expect("bootstrap");
}
