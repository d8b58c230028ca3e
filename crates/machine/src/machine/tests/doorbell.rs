//! A doorbell of a real device on each engine, rung by a guest.

use super::*;
use crate::spec::{Device, EngineKind};

/// Where the driver's rings and the buffer are.
const DESCRIPTORS: u64 = 0x30_0000;
const AVAILABLE: u64 = 0x30_1000;
const USED: u64 = 0x30_2000;
const BUFFER: u64 = 0x30_3000;
/// Where the kernel's code is.
const CODE: u64 = 0x20_0020;

/// Offers the one descriptor, rings, waits for it, and ends with status 0x10.
fn code(doorbell: u32) -> Vec<u8> {
    let place = |at: u64| (at as u32).to_le_bytes();
    // MOV WORD [available index], 1; MOV [doorbell], AX
    let mut code = vec![0x66, 0xc7, 0x05];
    code.extend(place(AVAILABLE + 2));
    code.extend([1, 0, 0x66, 0xa3]);
    code.extend(doorbell.to_le_bytes());
    // wait: MOV AX, [used index]; TEST AX, AX; JZ wait
    code.extend([0x66, 0xa1]);
    code.extend(place(USED + 2));
    code.extend([0x66, 0x85, 0xc0, 0x74, 0xf5]);
    // MOV AL, 0x10; OUT 0xF4, AL; JMP $
    code.extend([0xb0, 0x10, 0xe6, 0xf4, 0xeb, 0xfe]);
    code
}

/// The registers of the function in slot 1.
struct Function<'a>(&'a MachineIo);

impl Function<'_> {
    fn configure(&self, register: u32, value: u32) {
        let address = 1 << 31 | 1 << 11 | register;
        self.0.write(Space::Port, 0xcf8, &address.to_le_bytes());
        self.0.write(Space::Port, 0xcfc, &value.to_le_bytes());
    }

    fn bar(&self) -> u32 {
        let address = 1_u32 << 31 | 1 << 11 | 0x10;
        self.0.write(Space::Port, 0xcf8, &address.to_le_bytes());
        let mut value = [0; 4];
        self.0.read(Space::Port, 0xcfc, &mut value);
        u32::from_le_bytes(value) & !0xf
    }

    fn write(&self, register: u64, value: &[u8]) {
        let at = u64::from(self.bar()) + register;
        self.0.write(Space::Memory, at, value);
    }

    /// Negotiates and starts queue 0, which is empty.
    fn start(&self) {
        self.configure(4, 6);
        self.write(20, &[3]);
        self.write(8, &1_u32.to_le_bytes());
        self.write(12, &1_u32.to_le_bytes());
        self.write(20, &[0xb]);
        for (register, value) in [(32, DESCRIPTORS), (40, AVAILABLE), (48, USED)] {
            self.write(register, &value.to_le_bytes());
        }
        self.write(28, &1_u16.to_le_bytes());
        self.write(20, &[0xf]);
    }
}

fn figure(machine: &Machine, wanted: &str) -> Option<u64> {
    let figures = machine.engine().statistics();
    let found = figures.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, value)| *value)
}

/// Runs the guest on an engine, whose function's BAR is moved before.
fn ring(kind: EngineKind) -> Machine {
    let name = format!("suz-doorbell-{kind:?}-{}", std::process::id());
    let kernel = std::env::temp_dir().join(name);
    let file = crate::boot::sample::multiboot_flat(0x20_0000, &[0; 64]);
    std::fs::write(&kernel, file).unwrap();
    let mut spec = Spec::new(Boot {
        kernel: Some(kernel.clone()),
        initrd: None,
        append: String::new(),
    });
    spec.memory = 16 << 20;
    spec.debug_exit = true;
    spec.engine = kind;
    spec.devices = vec![Device::Rng];
    let machine = Machine::build(&spec, Box::new(Paper::default()));
    std::fs::remove_file(kernel).unwrap();
    let machine = machine.unwrap();
    let handle = machine.handle();
    let function = Function(&handle.io);
    function.start();
    let moved = function.bar() + 0x20_0000;
    function.configure(0x10, moved);
    let ram = machine.ram();
    let mut descriptor = BUFFER.to_le_bytes().to_vec();
    // 16 bytes for the device to write.
    descriptor.extend([16, 0, 0, 0, 2, 0, 0, 0]);
    ram.write(mem::Gpa(DESCRIPTORS), &descriptor).unwrap();
    ram.write(mem::Gpa(CODE), &code(moved + 0x3000)).unwrap();
    handle.resume();
    assert_eq!(handle.wait(), Outcome::DebugExit(0x10), "{kind:?}");
    assert!(handle.wait_quiet(Duration::from_secs(10)));
    let mut random = [0; 16];
    ram.read(mem::Gpa(BUFFER), &mut random).unwrap();
    assert_ne!(random, [0; 16], "{kind:?}");
    machine
}

#[test]
fn a_doorbell_wakes_its_queue_where_the_bar_was_moved_to() {
    ring(EngineKind::Soft);
    if let Err(reason) = kvm::Host::open() {
        println!("SKIPPED under KVM: {reason}");
        return;
    }
    let machine = ring(EngineKind::Kvm);
    assert_eq!(figure(&machine, "device memory accesses"), Some(0));
}
