//! Fetches for real, by the host's apt; skipped where that cannot work.

use std::path::PathBuf;
use std::process::Command;

use image::{Cache, Error, Known};

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn busybox_comes_from_debian_and_runs() {
    let scratch = Scratch(std::env::temp_dir().join(format!("suz-fetch-{}", std::process::id())));
    let cache = Cache::at(&scratch.0)
        .unwrap()
        .with_notice(|line| eprintln!("{line}"));
    let guest = match cache.ensure(Known::Busybox) {
        Err(error @ (Error::NoTool { .. } | Error::NoDebianSource | Error::NoIndex { .. })) => {
            eprintln!("SKIPPED: {error}");
            return;
        }
        result => result.unwrap(),
    };
    assert_eq!(guest.package, "busybox-static");
    assert_eq!(cache.damage(Known::Busybox).unwrap(), None);
    // On a host of another architecture the program cannot be run.
    if cfg!(target_arch = "x86_64") {
        let output = Command::new(&guest.path)
            .args(["echo", "hello"])
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"hello\n");
    }
    // Nothing is fetched twice, and nothing is left lying about.
    assert_eq!(cache.refresh(Known::Busybox).unwrap(), guest);
    assert_eq!(
        std::fs::read_dir(scratch.0.join("tmp")).map_or(0, Iterator::count),
        0
    );
}

#[test]
fn the_cloud_kernel_unpacks_to_an_elf_file() {
    let cache = Cache::open().unwrap();
    let Some(guest) = cache.find(Known::Cloud) else {
        eprintln!("SKIPPED: no cloud kernel in the cache; `cargo xtask guests cloud` fetches it");
        return;
    };
    let kernel = image::vmlinux(&std::fs::read(&guest.path).unwrap()).unwrap();
    assert!(
        kernel.starts_with(b"\x7FELF\x02\x01\x01"),
        "no 64-bit little-endian ELF"
    );
}
