//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Its many addresses in tables are adjusted at each start: packed they take 10 KiB to read, and not 450.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
