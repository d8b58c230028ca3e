use clap::Parser;
use machine::spec::Boot;

use super::*;
use crate::cli::{Cli, Command};

fn options(line: &str) -> cli::Machine {
    let words = ["suz", "run"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(words).unwrap().command {
        Command::Run(run) => run.machine,
        other => panic!("{other:?}"),
    }
}

/// The machine that the options make.
fn made(line: &str) -> Spec {
    let mut spec = Spec::new(Boot {
        kernel: Some("/k".into()),
        initrd: None,
        append: String::new(),
    });
    spec.devices = vec![Device::Rng];
    apply(&options(line), &mut spec, Some(Path::new("/here"))).unwrap();
    spec
}

/// What options say otherwise about a machine that others made.
fn difference_of(made_by: &str, line: &str) -> Option<&'static str> {
    let mut there = made(made_by);
    for device in &mut there.devices {
        if let Device::Net(net) = device {
            net.mac = Some([2, 0, 0, 0, 0, 1]);
        }
    }
    let mut asked = there.clone();
    apply(&options(line), &mut asked, Some(Path::new("/here"))).unwrap();
    difference(&there, &asked)
}

#[test]
fn the_same_options_describe_the_same_machine() {
    for line in [
        "",
        "--kernel k --initrd i --append x --cpus 2 --memory 1G --engine soft",
        "--disk d,ro --disk e --balloon --console virtio",
        "--net user --publish 2222:22 --pcap p",
        "--publish 2222:22",
        "--disk d --ephemeral --interpret --debug-exit --packed-rings --code-cache 8M",
    ] {
        assert_eq!(difference_of(line, line), None, "{line}");
        assert_eq!(difference_of(line, ""), None, "{line}");
    }
}

#[test]
fn another_machine_is_told_by_what_is_different() {
    for (line, what) in [
        ("--kernel other", "kernel"),
        ("--kernel k --initrd other", "initrd"),
        ("--append other", "command line"),
        ("--cpus 3", "number of processors"),
        ("--memory 1M", "memory"),
        ("--engine kvm", "engine"),
        ("--console virtio", "console"),
        ("--disk other", "disks, networks or other devices"),
        ("--ephemeral", "disks, networks or other devices"),
        ("--publish 1:1", "disks, networks or other devices"),
        ("--net tap:x", "disks, networks or other devices"),
        ("--interpret", "options"),
    ] {
        let made_by = "--kernel k --append x --disk d --net user";
        assert_eq!(difference_of(made_by, line), Some(what), "{line}");
    }
}

#[test]
fn what_is_added_to_the_demonstration_guest_may_be_said_again() {
    let mut there = made("");
    there.boot.append = "console=ttyS0 quiet".into();
    let mut asked = there.clone();
    apply(&options("--append quiet"), &mut asked, None).unwrap();
    assert_eq!(difference(&there, &asked), None);
}

#[test]
fn ports_lead_into_the_network_that_is_there() {
    let mut spec = made("--net user");
    apply(&options("--publish 2222:22"), &mut spec, None).unwrap();
    let is_net = |device: &&Device| matches!(device, Device::Net(_));
    assert_eq!(spec.devices.iter().filter(is_net).count(), 1);
    assert_eq!(made("--net user --publish 2222:22"), spec);
}
