//! Accesses to devices allocate nothing, from the guest's instruction to the device and back, on either engine.
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use iface::Char;
use machine::spec::{Boot, Device, EngineKind};
use machine::{Machine, Outcome, Spec};

/// Allocations of the whole program.
static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: all of it is the system's allocator's doing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Nobody at the serial port.
struct Silence;

impl Char for Silence {
    fn read(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn write(&mut self, from: &[u8]) -> usize {
        from.len()
    }
}

/// A flat Multiboot kernel that makes so many rounds of accesses, and ends.
fn kernel(rounds: u32) -> Vec<u8> {
    const AT: u32 = 0x10_0000;
    // MOV EDX, 0x3FD; MOV ECX, rounds
    let mut code = vec![0xba, 0xfd, 3, 0, 0, 0xb9];
    code.extend(rounds.to_le_bytes());
    // here: IN AL, DX; OUT 0x80, AL; MOV EAX, [0xFEC00000] (I/O APIC); MOV EAX, [0xC0000014] (a virtio device's status)
    code.extend([
        0xec, 0xe6, 0x80, 0xa1, 0, 0, 0xc0, 0xfe, 0xa1, 0x14, 0, 0, 0xc0,
    ]);
    // DEC ECX; JNZ here; MOV AL, 1; OUT 0xF4, AL; JMP $
    code.extend([0x49, 0x75, 0xf0, 0xb0, 1, 0xe6, 0xf4, 0xeb, 0xfe]);
    let end = AT + 32 + code.len() as u32;
    let (magic, flags) = (0x1bad_b002_u32, 1_u32 << 16);
    let checksum = 0_u32.wrapping_sub(magic + flags);
    let header = [magic, flags, checksum, AT, AT, end, end, AT + 32];
    let mut file: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    file.extend(code);
    file
}

/// Allocations of a machine's run.
fn allocations(engine: EngineKind, rounds: u32) -> u64 {
    let path = std::env::temp_dir().join(format!("suz-allocation-{}", std::process::id()));
    std::fs::write(&path, kernel(rounds)).expect("there is a place for files");
    let mut spec = Spec::new(Boot {
        kernel: Some(path.clone()),
        initrd: None,
        append: String::new(),
    });
    spec.memory = 16 << 20;
    (spec.engine, spec.debug_exit) = (engine, true);
    spec.devices = vec![Device::Rng];
    let machine = Machine::build(&spec, Box::new(Silence)).expect("it can be built");
    std::fs::remove_file(path).expect("our own file");
    let before = COUNT.load(Ordering::Relaxed);
    machine.handle().resume();
    assert_eq!(machine.handle().wait(), Outcome::DebugExit(1));
    let after = COUNT.load(Ordering::Relaxed);
    drop(machine);
    after - before
}

#[test]
fn accesses_to_devices_allocate_nothing() {
    let mut engines = vec![EngineKind::Soft];
    match kvm::Host::open() {
        Ok(_) => engines.push(EngineKind::Kvm),
        Err(reason) => println!("SKIPPED under KVM: {reason}"),
    }
    for engine in engines {
        // What is made once for the whole program.
        allocations(engine, 1);
        let (few, many) = (allocations(engine, 200), allocations(engine, 3000));
        println!("{engine:?}: {few} and {many}");
        // Threads that start and end allocate, more or less at the same time.
        assert!(many < few + 100, "{engine:?}: {few} and {many}");
    }
}
