//! Which engine runs the guest, and what is said about it.

use kvm::Host;

use crate::support::{Folder, debug_exit, finish, kernel, suz};

/// Runs a guest that ends with status 0x21 on an engine; what was said.
fn said(engine: &str) -> Vec<String> {
    let folder = Folder::new(&format!("engine-{engine}"));
    let kernel = folder.file("k", &kernel(&debug_exit(0x10)));
    let mut command = suz();
    command.args(["run", "--memory", "16M", "--debug-exit", "--engine", engine]);
    let done = finish(command.arg("--kernel").arg(&kernel));
    assert_eq!(done.code(), Some(0x21), "{done:?}");
    done.stderr.lines().map(str::to_owned).collect()
}

#[test]
fn auto_says_a_line_where_the_device_is_of_no_use() {
    let lines = said("auto");
    let choice = machine::choose(1);
    assert_eq!(lines.len(), usize::from(choice.surprises), "{lines:?}");
    if let Some(line) = lines.first() {
        assert!(line.starts_with("suz: the guest runs on the software CPU: /dev/kvm"));
    }
}

#[test]
fn soft_says_nothing() {
    assert!(said("soft").is_empty());
}

#[test]
fn kvm_says_nothing_or_why_not() {
    match Host::open() {
        Ok(_) => assert!(said("kvm").is_empty()),
        Err(reason) => {
            println!("SKIPPED a run under KVM: {reason}");
            let done = finish(suz().args(["run", "--engine", "kvm", "--kernel", "/bin/true"]));
            assert_eq!(done.code(), Some(2), "{done:?}");
        }
    }
}

#[test]
fn the_doctor_tells_what_auto_chooses_and_why() {
    let done = finish(suz().arg("doctor"));
    assert_eq!(done.code(), Some(0), "{done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("the guest runs on "), "{text}");
    for name in [
        "KVM",
        "huge pages",
        "control groups",
        "network taps",
        "Landlock",
    ] {
        assert!(text.contains(name), "{text}");
    }
}
