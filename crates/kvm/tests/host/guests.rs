//! The tiny guests under KVM, with the software CPU's help. `TINY=text` in the environment runs those whose names
//! contain it.
//!
//! A host whose KVM has [`Quirk`]s runs some guests wrongly, QEMU's machine on it likewise. Those are listed below
//! by quirk; a listed guest counts only where the quirk is not found.

use std::time::{Duration, Instant};

use conformance::Failure;
use kvm::{Host, Quirk};
use tinyguest::TinyGuest;

use crate::{engine, is_there};

/// Guests that such a host runs wrongly, and why.
const LISTED: &[(Quirk, &str, &[&str])] = &[
    (
        Quirk::RefusesInterrupts,
        "they leave user mode by INT",
        &[
            "call-gate-64",
            "compat-user",
            "cpuid",
            "debug-exec",
            "debug-icebp",
            "debug-step-branch",
            "exception-idt",
            "exception-user",
            "hot-crossing",
            "hot-indirect",
            "hot-iret",
            "hot-locks-user",
            "hot-rights",
            "hot-segments",
            "hot-syscall",
            "hot-tsc",
            "interrupt-user",
            "iret-user-flags",
            "long-io-bitmap",
            "page-smep",
            "page-user",
            "page-user-levels",
            "prot-call-gate",
            "prot-call-gate16",
            "prot-far-jump",
            "prot-far-return",
            "prot-faults",
            "prot-int-gates",
            "prot-interrupt-privilege",
            "prot-io-bitmap",
            "prot-iopl",
            "prot-iret",
            "prot-lar-lsl",
            "prot-tables",
            "sysenter-long",
            "sysret-compat",
            "task-gate",
            "task-user",
            "task-v86",
            "v86-basics",
            "v86-faults",
            "v86-iopl",
            "v86-return",
        ],
    ),
    (
        Quirk::RefusesLegacyPaging,
        "they page in 32-bit mode",
        &[
            "hot-fault-32",
            "pae-basics",
            "pae-cr3-alignment",
            "pae-pointers",
            "page32-basics",
            "page32-pse",
            "paging-off",
            "task-double-fault-paging",
        ],
    ),
    (Quirk::FixesTsc, "they move the TSC", &["tsc-adjust"]),
    (
        Quirk::DropsPointers,
        "they look at the pointers without an exception",
        &["hot-x87"],
    ),
    (
        Quirk::ReplacesCpuid,
        "CPUID claims what CR4, paging or MSRs then refuse",
        &[
            "cr-validity",
            "cr4-features",
            "fsgsbase",
            "hidden-features",
            "page-1gib",
            "page-invpcid",
            "page-pcid",
            "rdpid",
            "smc-alias",
            "tsc",
        ],
    ),
    (
        Quirk::EmulatesKernels,
        "the emulator looks for interrupts later than a processor",
        &[
            "ioapic",
            "ioapic-modes",
            "lapic-esr",
            "lapic-ipi-self",
            "lapic-priority",
            "lapic-timer",
            "nmi",
            "pit-rate",
            "priority-step-interrupt",
            "sti-shadow",
            "x2apic",
        ],
    ),
    (
        Quirk::EmulatesKernels,
        "the emulator has no breakpoints, and few of the rules of single-stepping",
        &[
            "debug-data",
            "debug-io",
            "debug-mov-ss",
            "debug-ss-int",
            "debug-step-ss",
            "debug-write",
            "real-step",
            "syscall-step",
        ],
    ),
    (
        Quirk::EmulatesKernels,
        "the emulator skips checks of alignment, limits, descriptors, flags or MSRs",
        &[
            "alignment-check",
            "exception-df",
            "fpu-control",
            "fxsave",
            "iret-64",
            "iret-64-narrow",
            "iret-compat-rip",
            "lock-prefix",
            "long-canonical",
            "long-system-descriptors",
            "msr-pat-mtrr",
            "page-crossing-fault",
            "prot-limit",
            "prot-ltr",
            "prot-stack16",
            "prot-type",
            "real-idtr",
            "shutdown-real",
            "shutdown-real-stack",
            "sse-alignment",
            "stack-switch-fault",
            "sweep-alignment",
            "sweep-flags",
            "sweep-gates",
            "sweep-lar",
            "sweep-lar-64",
            "sweep-limit",
            "sweep-reserved-bits",
            "syscall-basics",
            "syscall-compat",
            "syscall-flags",
            "sysret-noncanonical",
            "task-double-fault",
        ],
    ),
];

/// Guests that take minutes on a host that emulates kernels.
const LONG: &[&str] = &[
    "hot-exception",
    "hot-exception-user",
    "hot-fault",
    "hot-fault-real",
    "hot-fault-user",
    "hot-interrupt",
    "hot-remap",
    "hot-paths",
    "hot-ranges",
    "hot-sites",
    "hot-stack",
    "hot-stream",
    "hot-sides",
    "hot-switch",
    "late-flags",
    "interrupt-rep",
    "smc-hot",
    "smp-atomic",
    "smp-litmus-2",
    "smp-litmus-3",
    "smp-litmus-4",
    "smp-litmus-serialize",
    "smp-locked",
    "smp-patch",
    "smp-remap",
    "sweep-breakpoints",
    "sweep-far-64",
    "sweep-far",
    "sweep-gates-64",
    "sweep-paging",
    "sweep-return",
    "sweep-segment-load",
];

const PATIENCE: Duration = Duration::from_secs(10);

/// Why a guest does not count here.
fn excuse(guest: &str, quirks: &[Quirk]) -> Option<String> {
    if quirks.contains(&Quirk::EmulatesKernels) && LONG.contains(&guest) {
        return Some(format!("{}: it would take minutes", Quirk::EmulatesKernels));
    }
    let mut lists = LISTED.iter();
    let (quirk, why, _) =
        lists.find(|(quirk, _, names)| quirks.contains(quirk) && names.contains(&guest))?;
    Some(format!("{quirk}: {why}"))
}

fn run(guests: &[&TinyGuest], patience: Duration) -> Vec<Failure> {
    let complaint = |guest: &&TinyGuest| {
        let reason = conformance::run(guest, &engine, patience).complaint(guest)?;
        println!("{}: {reason}", guest.name);
        Some(Failure {
            name: guest.name.clone(),
            reason,
        })
    };
    guests.iter().filter_map(complaint).collect()
}

#[test]
fn guests_end_as_they_should() {
    if !is_there() {
        return;
    }
    let guests = match tinyguest::all() {
        Ok(guests) => guests,
        Err(error @ tinyguest::Error::Missing { .. }) => {
            println!("SKIPPED: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let start = Instant::now();
    let host = Host::open().expect("it was there");
    let quirks = kvm::examine(host).expect("it runs a loop").quirks;
    let only = std::env::var("TINY").unwrap_or_default();
    let wanted = guests.iter().filter(|guest| guest.name.contains(&only));
    let (excused, mut wanted): (Vec<_>, Vec<_>) =
        wanted.partition(|guest| excuse(&guest.name, &quirks).is_some());
    let count = wanted.len();
    let mut failures = run(&wanted, PATIENCE);
    // As on the software CPU: what measures time may need another try, and where the host is busy more of it.
    for round in 1..4 {
        wanted.retain(|guest| failures.iter().any(|failure| failure.name == guest.name));
        failures = run(&wanted, PATIENCE * (1 << round));
    }
    for guest in &excused {
        let why = excuse(&guest.name, &quirks).unwrap_or_default();
        println!("SKIPPED {}: this host's KVM: {why}", guest.name);
    }
    println!(
        "{count} tiny guests under KVM, {} failed, {} skipped, {:.1} s",
        failures.len(),
        excused.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn the_lists_name_guests() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests");
    let names = LISTED.iter().flat_map(|(_, _, names)| *names).chain(LONG);
    for name in names {
        let path = std::path::Path::new(folder).join(format!("{name}.S"));
        assert!(path.exists(), "{name}");
    }
}
