//! A machine that stays: what its owner does with it on the first day.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::compile;
use crate::running::{Machine, PATIENCE, Running, user};

/// A file of noise, which no layer can make smaller.
fn noise(path: &Path, len: u64) {
    let mut noise = vec![0; 1 << 20];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut noise)
        .unwrap();
    let file = File::create(path).unwrap();
    for at in (0..len).step_by(noise.len()) {
        noise[..8].copy_from_slice(&at.to_le_bytes());
        file.write_all_at(&noise, at).unwrap();
    }
}

fn sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

#[test]
fn a_machine_serves_its_owner() {
    let machine = Machine::new("served");
    let Some(mut running) = Running::start_of("debian", machine.0) else {
        return;
    };
    assert_eq!(running.says("hostname"), "served");
    assert_eq!(running.says("sudo id -u"), "0");
    assert_eq!(running.says("nproc"), "2");
    assert_eq!(running.says("cat /etc/os-release | grep -c bookworm"), "3");
    let id = running.says("cat /etc/machine-id");
    assert_eq!(id.len(), 32, "{id}");
    assert_eq!(
        running.says("systemctl is-system-running --wait; systemctl --failed --plain --no-legend"),
        "running"
    );

    let folder = std::env::temp_dir().join(format!("suz-debian-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (there, back) = (folder.join("there"), folder.join("back"));
    noise(&there, 100 << 20);
    let remote = format!("{}@127.0.0.1:noise", user());
    running.copy(there.to_str().unwrap(), &remote);
    assert_eq!(running.says("sha256sum noise")[..64], sum(&there));
    running.copy(&remote, back.to_str().unwrap());
    assert_eq!(sum(&back), sum(&there));
    std::fs::remove_dir_all(&folder).unwrap();

    running.says(compile::WITH_SOURCES);
    running.says("sudo apt-get -q update && sudo apt-get -q -y install hello");
    assert_eq!(running.says("hello"), "Hello, world!");
    compile::lua(&running);

    // A reboot comes back as the same machine, without anybody outside.
    running.reboot();
    assert_eq!(running.says("cat /etc/machine-id"), id);

    // What was synced is there when the monitor was killed.
    running.says("echo kept > kept && sync");
    let (folder, port) = (running.folder(), running.port);
    running.kill();
    let running = Running::start_at("debian", machine.0, port).expect("the image is there");
    assert_eq!(running.says("cat kept"), "kept");
    assert_eq!(running.says("cat /etc/machine-id"), id);
    running.ssh("sudo poweroff");
    let mut running = running;
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "the machine did not power off");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(0));
    is_clean(&folder.join("disk.qcow2"));
}

/// Checks an image and the file system in it, where the tools are here.
fn is_clean(disk: &Path) {
    let Ok(check) = Command::new("qemu-img").arg("check").arg(disk).output() else {
        println!("SKIPPED: no qemu-img to check with");
        return;
    };
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(said.contains("No errors were found"), "{said}");
    let raw = disk.with_extension("raw");
    let convert = Command::new("qemu-img")
        .args(["convert", "-O", "raw"])
        .args([disk, &raw])
        .status();
    assert!(convert.unwrap().success());
    let mut check = Command::new("e2fsck");
    check.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let check = check
        .args(["-f", "-n"])
        .arg(&raw)
        .output()
        .expect("e2fsck is beside mke2fs");
    std::fs::remove_file(&raw).unwrap();
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(check.status.success(), "{said}");
}
