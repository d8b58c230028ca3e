//! Whatever is wrong with what the user gives: one clear line, and status 2.

use crate::support::{Folder, SPIN, finish, kernel, run, suz};

/// The program's only line, after checking the status.
fn refusal(arguments: &[&str]) -> String {
    let done = finish(suz().arg("run").args(arguments));
    assert_eq!(done.code(), Some(2), "{done:?}");
    let line = done.stderr.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    assert!(done.stdout.is_empty());
    line.to_owned()
}

/// The refusal of a kernel of these bytes.
fn refused_kernel(bytes: &[u8]) -> String {
    let folder = Folder::new(&format!("kernel-{}", bytes.len()));
    let path = folder.file("k", bytes);
    refusal(&["--kernel", path.to_str().unwrap()])
}

#[test]
fn a_missing_kernel() {
    let line = refusal(&["--kernel", "/nonexistent/vmlinuz"]);
    assert_eq!(
        line,
        "suz: /nonexistent/vmlinuz: No such file or directory (os error 2)"
    );
}

#[test]
fn a_folder_as_a_kernel() {
    assert!(refusal(&["--kernel", "/tmp"]).contains("/tmp: Is a directory"));
}

#[test]
fn empty_foreign_and_truncated_kernels() {
    assert!(refused_kernel(b"").contains("is empty: expected a Linux bzImage"));
    assert!(refused_kernel(b"#!/bin/sh\n").contains("is a script: expected"));
    assert!(refused_kernel(&[7; 4000]).contains("is no kernel: expected"));
    let mut elf = std::fs::read("/bin/true").unwrap();
    assert!(refused_kernel(&elf).contains("neither a PVH entry nor a Multiboot header"));
    elf.truncate(70);
    assert!(refused_kernel(&elf).contains("truncated"));
    let mut flat = kernel(SPIN);
    flat.pop();
    assert!(refused_kernel(&flat).contains("truncated"));
}

#[test]
fn initrds_that_are_missing_empty_or_too_large() {
    let folder = Folder::new("initrd");
    let kernel = folder.file("k", &kernel(SPIN));
    let empty = folder.file("empty", b"");
    let large = folder.file("large", &vec![1; 17 << 20]);
    let with = |initrd: &str| {
        let done = finish(run(&kernel).args(["--initrd", initrd]));
        assert_eq!(done.code(), Some(2));
        done.stderr
    };
    assert!(with("/nonexistent/i").contains("/nonexistent/i: No such file"));
    assert!(with(empty.to_str().unwrap()).contains("empty: is empty"));
    let line = with(large.to_str().unwrap());
    assert!(
        line.contains("large: ") && line.contains("memory"),
        "{line}"
    );
}

#[test]
fn memory_of_wrong_sizes() {
    let folder = Folder::new("memory");
    let kernel = folder.file("k", &kernel(SPIN));
    let with = |size: &str| refusal(&["--kernel", kernel.to_str().unwrap(), "--memory", size]);
    assert!(with("0").contains("memory of 0 bytes: a machine has whole mebibytes, 1M to 64G"));
    assert!(with("1025K").contains("memory of 1025K: a machine has whole mebibytes"));
    assert!(with("65G").contains("1M to 64G"));
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        >> 20;
    let swap = !meminfo.contains("SwapFree:              0 kB") && meminfo.contains("SwapFree");
    if total < 60 && !swap {
        assert!(with("64G").contains("this host can promise"));
    } else {
        eprintln!("skipped: this host can promise more than the largest machine has");
    }
}

#[test]
fn sockets_that_cannot_be() {
    let folder = Folder::new("vsock");
    let kernel = folder.file("k", &kernel(SPIN));
    let kernel = kernel.to_str().unwrap();
    let with = |value: &str| refusal(&["--kernel", kernel, "--vsock", value]);
    let taken = folder.file("taken", b"");
    let taken = taken.to_str().unwrap();
    assert_eq!(
        with(taken),
        format!("suz: socket {taken}: is there already and is no socket; give another path")
    );
    let live = taken.replace("taken", "live");
    let _listener = std::os::unix::net::UnixListener::bind(&live).unwrap();
    assert!(with(&live).contains("live: is in use by another process; give another path"));
    assert!(with("/nonexistent/v").contains("socket /nonexistent/v: No such file or directory"));
    assert!(with("v,cid=2").contains("3 to 4294967294 are possible"));
}

#[test]
fn ports_that_cannot_be() {
    let folder = Folder::new("ports");
    let kernel = folder.file("k", &kernel(SPIN));
    let kernel = kernel.to_str().unwrap();
    let with = |ports: &[&str]| {
        let ports = ports.iter().flat_map(|port| ["--port", port]);
        let arguments: Vec<_> = ["--kernel", kernel].into_iter().chain(ports).collect();
        refusal(&arguments)
    };
    let taken = folder.file("taken", b"");
    let taken = taken.to_str().unwrap();
    assert_eq!(
        with(&[&format!("a={taken}")]),
        format!(
            "suz: port a: socket {taken}: is there already and is no socket; give another path"
        )
    );
    let live = taken.replace("taken", "live");
    let _listener = std::os::unix::net::UnixListener::bind(&live).unwrap();
    assert!(with(&[&format!("a={live}")]).contains("in use by another process"));
    assert!(with(&["a"]).contains("port a needs a socket"));
    assert!(with(&["a/b=x"]).contains("can't be a port's name"));
    assert!(with(&["a=x", "a=y"]).contains("two ports called a"));
    let many: Vec<String> = (0..32).map(|port| format!("{port}=x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(with(&many).contains("32 ports: a machine has at most 31"));
}

#[test]
fn folders_that_cannot_be_shared() {
    let folder = Folder::new("share");
    let kernel = folder.file("k", &kernel(SPIN));
    let kernel = kernel.to_str().unwrap();
    let with = |shares: &[&str]| {
        let shares = shares.iter().flat_map(|share| ["--share", share]);
        let arguments: Vec<_> = ["--kernel", kernel].into_iter().chain(shares).collect();
        refusal(&arguments)
    };
    let missing = with(&["/nonexistent:/data"]);
    assert!(
        missing.contains("shared folder /nonexistent: No such file"),
        "{missing}"
    );
    assert!(with(&[&format!("{kernel}:/data")]).contains("k: Not a directory"));
    assert!(with(&["/tmp:/data", "/:/data"]).contains("two shared folders at /data"));
    let long = format!("/tmp:/{}", "x".repeat(36));
    assert!(with(&[&long]).contains("1 to 36 bytes are possible"));
    for (wrong, reason) in [
        ("/tmp", "no HOSTPATH:GUESTPATH"),
        ("/tmp:data", "begin with /"),
    ] {
        let done = finish(suz().args(["run", "--share", wrong]));
        assert_eq!(done.code(), Some(2));
        assert!(done.stderr.contains(reason), "{}", done.stderr);
    }
}

#[test]
fn words_that_are_no_sizes_numbers_or_engines() {
    for (option, value) in [
        ("--memory", "lots"),
        ("--cpus", "two"),
        ("--engine", "fast"),
    ] {
        let done = finish(suz().args(["run", option, value]));
        assert_eq!(done.code(), Some(2));
        assert!(
            done.stderr.contains(value) && done.stderr.contains(option),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn too_few_and_too_many_processors() {
    let folder = Folder::new("cpus");
    let kernel = folder.file("k", &kernel(SPIN));
    for count in ["0", "65"] {
        let line = refusal(&["--kernel", kernel.to_str().unwrap(), "--cpus", count]);
        assert_eq!(line, format!("suz: {count} CPUs: a machine has 1 to 64"));
    }
}

#[test]
fn options_that_contradict_each_other() {
    let done = finish(suz().args(["run", "--initrd", "i"]));
    assert_eq!(done.code(), Some(2));
    assert!(done.stderr.contains("--kernel"), "{}", done.stderr);
}

#[test]
fn a_command_line_that_is_too_long() {
    let folder = Folder::new("append");
    let kernel = folder.file("k", &kernel(SPIN));
    let text = "x".repeat(70_000);
    let line = refusal(&["--kernel", kernel.to_str().unwrap(), "--append", &text]);
    assert!(line.contains("a command line of 70"), "{line}");
}

#[test]
fn a_log_filter_that_is_none() {
    let done = finish(suz().args(["run", "--log", "a=b=c"]));
    assert_eq!(done.code(), Some(2));
    assert!(
        done.stderr.contains("log filter 'a=b=c'"),
        "{}",
        done.stderr
    );
}
