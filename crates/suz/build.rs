//! How the program is linked.

use std::env;

/// Linkers that know no scripts of this kind.
const OTHERS: [&str; 3] = ["mold", "wild", "gold"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=start.ld");
    // Its many addresses in tables are adjusted at each start: packed they take 10 KiB to read, and not 450.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    // The functions that a start needs lie side by side: as memory they are 0.8 MiB then, and not 3.
    let settings = ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_LINKER"];
    let mut settings = settings.iter().filter_map(|name| env::var(name).ok());
    if !settings.any(|setting| OTHERS.iter().any(|other| setting.contains(other))) {
        let folder = env!("CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/start.ld");
    }
}
