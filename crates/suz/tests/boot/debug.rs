//! A running kernel under gdb.

use std::process::{Command, Stdio};

use image::Known;

use crate::guest::{Guest, Spec, initramfs, known};

/// Tells where some of the kernel's code and data are, and then calls it for ever.
const SCRIPT: &str = "
grep -E ' (jiffies_64|__x64_sys_clock_nanosleep)$' /proc/kallsyms
echo addresses-end
while :; do sleep 0.05; done
";

/// What gdb says to these commands, once it is connected.
fn gdb(place: &str, commands: &[String]) -> String {
    let target = format!("target remote {place}");
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch"]).stdin(Stdio::null());
    for text in [
        "set pagination off",
        "set confirm off",
        "set architecture i386:x86-64",
        &target,
    ] {
        gdb.args(["-ex", text]);
    }
    for text in commands {
        gdb.args(["-ex", text]);
    }
    let done = gdb.output().expect("gdb runs");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The guest, and the addresses of a system call's code and of the counter of ticks.
fn start(kernel: &image::Guest, place: &str) -> (Guest, String, String) {
    let initrd = initramfs("debug", Known::Busybox, SCRIPT, |initramfs| initramfs);
    let mut guest = Spec::new(&kernel.path)
        .with("--initrd", initrd.to_str().expect("a path in UTF-8"))
        .with("--append", "console=ttyS0 quiet panic=-1 nokaslr")
        .with("--cpus", "2")
        .with("--gdb", format!("{place},nowait"))
        .start();
    let addresses = guest.expect("addresses-end");
    let address = |name: &str| {
        let mut lines = addresses.lines();
        let line = lines.find(|line| line.trim_end().ends_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {addresses}"));
        format!("0x{}", line.split_whitespace().next().unwrap_or_default())
    };
    let call = address(" __x64_sys_clock_nanosleep");
    let tick = address(" jiffies_64");
    (guest, call, tick)
}

/// Breaks in a system call on two processors, steps, watches the tick, reads memory, lets go.
#[test]
fn gdb_debugs_a_running_kernel() {
    let mut version = Command::new("gdb");
    if version.arg("--version").output().is_err() {
        println!("SKIPPED: this host has no gdb");
        return;
    }
    let Some(kernel) = known(Known::Cloud) else {
        return;
    };
    let socket = std::env::temp_dir().join(format!("suz-boot-{}.gdb", std::process::id()));
    let place = socket.to_str().expect("a path in UTF-8");
    let (guest, call, tick) = start(&kernel, place);
    let commands = [
        format!("hbreak *{call}"),
        "continue".to_owned(),
        "output/x $pc".to_owned(),
        "stepi".to_owned(),
        "stepi".to_owned(),
        format!("print $pc > {call} && $pc < {call} + 16"),
        "continue".to_owned(),
        "delete".to_owned(),
        format!("watch *(unsigned long*){tick}"),
        "continue".to_owned(),
        "continue".to_owned(),
        "info threads".to_owned(),
        "delete".to_owned(),
        "detach".to_owned(),
    ];
    let text = gdb(place, &commands);
    let mut rest = &*text;
    let wanted = [
        "Breakpoint 1, ",
        &call,
        "$1 = 1",
        "Breakpoint 1, ",
        "New value = ",
        "New value = ",
        "CPU 1",
        "detached",
    ];
    for piece in wanted {
        match rest.split_once(piece) {
            Some((_, later)) => rest = later,
            None => panic!("{piece:?} is missing in {text}"),
        }
    }
    // The guest has noticed nothing, and is debugged once more.
    let text = gdb(place, &["kill".to_owned()]);
    assert!(text.contains("killed"), "{text}");
    assert_eq!(guest.finish(), 0);
}
