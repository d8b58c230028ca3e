//! Versions of images, and machines over them.

use std::path::{Path, PathBuf};

use crate::background::Machines;

const MANIFEST: &str =
    "system = 'Tiny 1'\norigin = 'a test'\ndisk = 'disk.qcow2'\nformat = 'qcow2'\nsize = 1048576\n";

/// A version of the image `tiny`, the newest from now on.
fn version(machines: &Machines, name: &str) -> PathBuf {
    let home = machines.data().join("images/tiny");
    let folder = home.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("image.toml"), MANIFEST).unwrap();
    let disk = folder.join("disk.qcow2");
    machines.good(&["disk", "create", disk.to_str().unwrap(), "1M"]);
    let current = home.join("current");
    let _ = std::fs::remove_file(&current);
    std::os::unix::fs::symlink(name, current).unwrap();
    disk
}

/// A machine's folder with a disk over another.
fn over(machines: &Machines, name: &str, base: &Path) -> PathBuf {
    let folder = machines.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    let disk = folder.join("disk.qcow2");
    let (disk, base) = (disk.to_str().unwrap(), base.to_str().unwrap());
    machines.good(&["disk", "create", disk, "--over", base]);
    folder
}

#[test]
fn old_versions_go_when_no_machine_lies_over_them() {
    let machines = Machines::new("prune");
    assert!(
        machines
            .good(&["image", "prune"])
            .contains("there are no old versions")
    );
    let old = ["20200101-000000", "20210101-000000", "20220101-000000"];
    let old = old.map(|name| version(&machines, name));
    let newest = version(&machines, "20230101-000000");
    // A machine over a chain, one in the making, and one whose disk is the image's own.
    let first = over(&machines, "a", &old[0]);
    let middle = machines.data().join("middle.qcow2");
    std::fs::rename(first.join("disk.qcow2"), &middle).unwrap();
    let first = over(&machines, "a", &middle);
    let spec = "image = 'tiny'\n[[devices]]\nkind = 'disk'\npath = 'disk.qcow2'\n";
    std::fs::write(first.join("machine.toml"), spec).unwrap();
    let draft = over(&machines, ".new-b-1", &old[1]);
    let list = machines.good(&["image", "ls"]);
    let users = |name: &str| {
        let line = list.lines().find(|line| line.contains(name)).unwrap();
        line.split_whitespace().nth(4).unwrap().to_owned()
    };
    assert_eq!(
        ["2020", "2021", "2022", "2023"].map(users),
        ["1", "1", "0", "0"],
        "{list}"
    );
    let said = machines.good(&["image", "prune"]);
    assert!(
        said.contains("removed tiny, version 20220101-000000"),
        "{said}"
    );
    assert!(
        said.contains("machines lie over 2 other old versions"),
        "{said}"
    );
    let there = || old.each_ref().map(|disk| disk.exists());
    assert_eq!((there(), newest.exists()), ([true, true, false], true));
    // A machine that can't be read may lie over anything.
    std::fs::write(first.join("machine.toml"), "cpus = 'two'").unwrap();
    let list = machines.good(&["image", "ls"]);
    assert!(
        list.contains("machine.toml: line 1") && list.contains(" ?  Tiny 1"),
        "{list}"
    );
    let line = machines.refused(&["image", "prune"]);
    assert!(line.contains("machine.toml: line 1"), "{line}");
    std::fs::remove_dir_all(&first).unwrap();
    std::fs::remove_dir_all(&draft).unwrap();
    // Somebody has it open.
    let file = std::fs::File::open(&old[0]).unwrap();
    file.lock_shared().unwrap();
    machines.good(&["image", "prune"]);
    assert_eq!((there(), newest.exists()), ([true, false, false], true));
    drop(file);
    machines.good(&["image", "prune"]);
    assert_eq!((there(), newest.exists()), ([false; 3], true));
}
