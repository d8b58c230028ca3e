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

/// The engines of this host.
pub(crate) fn engines() -> Vec<&'static str> {
    match Host::open() {
        Ok(_) => vec!["soft", "kvm"],
        Err(reason) => {
            println!("SKIPPED under KVM: {reason}");
            vec!["soft"]
        }
    }
}

/// MOV DX, port; MOV AX, value; OUT DX, AX; JMP $
fn out_word(port: u16, value: u16) -> Vec<u8> {
    let ([p0, p1], [v0, v1]) = (port.to_le_bytes(), value.to_le_bytes());
    vec![
        0x66, 0xba, p0, p1, 0x66, 0xb8, v0, v1, 0x66, 0xef, 0xeb, 0xfe,
    ]
}

/// MOV DX, port; MOV AL, value; OUT DX, AL; JMP $
fn out_byte(port: u16, value: u8) -> Vec<u8> {
    let [p0, p1] = port.to_le_bytes();
    vec![0x66, 0xba, p0, p1, 0xb0, value, 0xee, 0xeb, 0xfe]
}

/// The ways to reset the machine.
fn resets() -> [(&'static str, Vec<u8>); 3] {
    [
        ("reset-control", out_byte(0xcf9, 6)),
        ("keyboard", out_byte(0x64, 0xfe)),
        ("fast-reset", out_byte(0x92, 1)),
    ]
}

/// Guests that switch the machine off or reset it, by each of the ways that there are.
#[test]
fn power_off_and_resets_end_the_run_on_either_engine() {
    let off = ("acpi", out_word(0x604, 5 << 10 | 1 << 13));
    for engine in engines() {
        for (name, code) in resets().iter().chain([&off]) {
            let folder = Folder::new(&format!("{name}-{engine}"));
            let kernel = folder.file("k", &kernel(code));
            let mut command = suz();
            command.args(["run", "--memory", "16M", "--no-reboot", "--engine", engine]);
            let done = finish(command.arg("--kernel").arg(&kernel));
            assert_eq!(
                (done.code(), done.stderr.as_str()),
                (Some(0), ""),
                "{name} on {engine}"
            );
        }
    }
}

/// A guest that resets the machine once, which it remembers in the clock's memory.
#[test]
fn a_reset_starts_the_machine_again_on_either_engine() {
    for engine in engines() {
        for (name, reset) in &resets() {
            // Is byte 0x40 of the clock's memory 0x42? Else make it so, and reset; then write to the debug exit.
            let mut code = vec![0xb0, 0x40, 0xe6, 0x70, 0xe4, 0x71, 0x3c, 0x42];
            code.extend([0x74, 4 + reset.len() as u8, 0xb0, 0x42, 0xe6, 0x71]);
            code.extend(reset);
            code.extend(debug_exit(0x10));
            let folder = Folder::new(&format!("again-{name}-{engine}"));
            let kernel = folder.file("k", &kernel(&code));
            let mut command = suz();
            command.args(["run", "--memory", "16M", "--debug-exit", "--cpus", "2"]);
            let done = finish(command.args(["--engine", engine, "--kernel"]).arg(&kernel));
            let ended = (done.code(), done.stderr.as_str());
            assert_eq!(ended, (Some(0x21), ""), "{name} on {engine}");
        }
    }
}

/// What a guest prints arrives, whichever engine runs it.
#[test]
fn the_serial_port_prints_on_either_engine() {
    // The text by a string instruction from behind the code: MOV ESI, text; MOV ECX, 5; MOV DX, 0x3F8; REP OUTSB;
    // MOV AL, 0; OUT 0xF4, AL; JMP $
    let mut code = vec![0xbe, 0x36, 0x00, 0x10, 0x00, 0xb9, 5, 0, 0, 0];
    code.extend([
        0x66, 0xba, 0xf8, 0x03, 0xf3, 0x6e, 0xb0, 0, 0xe6, 0xf4, 0xeb, 0xfe,
    ]);
    code.extend(*b"hello");
    for engine in engines() {
        let folder = Folder::new(&format!("hello-{engine}"));
        let kernel = folder.file("k", &kernel(&code));
        let mut command = suz();
        command.args(["run", "--memory", "16M", "--debug-exit", "--engine", engine]);
        let done = finish(command.arg("--kernel").arg(&kernel));
        assert_eq!(done.stdout, b"hello", "{engine}");
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
