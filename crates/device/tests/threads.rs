//! All devices on one bus, and several threads that do everything to them at once: nobody waits for ever.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use device::pci::{self, HostBridge};
use device::{
    Acpi, Bus, DebugExit, FastReset, I8042, IoApic, IsaLine, MemorySize, Pic, Pit, Post, Rtc, Uart,
    VgaText, acpi, i8042, ioapic, lock, pic, pit, reset, rtc, uart, vga,
};
use iface::{Char, Clock, InterruptLine, Msi, MsiSink, Space};

/// Time flies: 1000 times as fast as the host's.
struct FastClock(Instant);

impl Clock for FastClock {
    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap() * 1000
    }

    fn wall(&self) -> u64 {
        1_800_000_000_000_000_000 + self.now()
    }
}

/// Stands for an engine: counts.
#[derive(Default)]
struct Engine {
    messages: AtomicU64,
    interrupt: AtomicBool,
}

impl MsiSink for Engine {
    fn send(&self, _: Msi) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }
}

impl InterruptLine for Engine {
    fn set(&self, level: bool) {
        self.interrupt.store(level, Ordering::Relaxed);
    }
}

/// Gives and takes something every now and then.
struct Sometimes(u32);

impl Char for Sometimes {
    fn read(&mut self, to: &mut [u8]) -> usize {
        self.0 += 1;
        to.fill(b'x');
        if self.0.is_multiple_of(3) {
            to.len()
        } else {
            0
        }
    }

    fn write(&mut self, from: &[u8]) -> usize {
        self.0 += 1;
        if self.0.is_multiple_of(5) {
            0
        } else {
            from.len()
        }
    }
}

struct Board {
    bus: Bus,
    pic: Arc<Mutex<Pic>>,
    ioapic: Arc<Mutex<IoApic>>,
    uart: Arc<Mutex<Uart>>,
    i8042: Arc<Mutex<I8042>>,
    acpi: Arc<Mutex<Acpi>>,
    clock: Arc<FastClock>,
    engine: Arc<Engine>,
}

const PORTS: &[(u64, u64)] = &[
    (pic::MASTER, 2),
    (pic::SLAVE, 2),
    (pic::ELCR, 2),
    (pit::COUNTERS, 4),
    (pit::PORT_B, 1),
    (uart::PORTS[0], 8),
    (rtc::PORTS, 2),
    (acpi::PORTS, 16),
    (i8042::DATA, 1),
    (i8042::COMMAND, 1),
    (reset::FAST_RESET, 1),
    (reset::POST, 1),
    (reset::DEBUG_EXIT, 4),
    (vga::PORTS, 32),
    (pci::CONFIG_PORTS, 8),
];

impl Board {
    fn new() -> Self {
        let engine = Arc::new(Engine::default());
        let clock = Arc::new(FastClock(Instant::now()));
        let pic = Arc::new(Mutex::new(Pic::new(engine.clone())));
        let ioapic = Arc::new(Mutex::new(IoApic::new(engine.clone())));
        let irq = |number| IsaLine::new(&pic, &ioapic, number) as Arc<dyn InterruptLine>;
        let uart = Uart::new(clock.clone(), irq(4), Box::new(Sometimes(0)));
        let uart = Arc::new(Mutex::new(uart));
        let i8042 = Arc::new(Mutex::new(I8042::new(irq(1), irq(12))));
        let acpi = Arc::new(Mutex::new(Acpi::new(clock.clone(), irq(9))));
        let pit = Arc::new(Mutex::new(Pit::new(clock.clone(), irq(0))));
        let memory = MemorySize {
            low: 1 << 30,
            high: 0,
        };
        let rtc = Arc::new(Mutex::new(Rtc::new(clock.clone(), irq(8), memory)));
        let screen = Arc::new(Mutex::new(VgaText::new()));
        let pins = [16, 17, 18, 19].map(|pin| IoApic::line(&ioapic, pin));
        let root = pci::Root::new(pins, pci::PIC_IRQS.map(|irq| Pic::line(&pic, irq)));
        let first = pci::Address::new(0, 0).unwrap();
        root.attach(first, Arc::new(Mutex::new(HostBridge::new())))
            .unwrap();
        let config = Arc::new(Mutex::new(pci::ConfigPorts::new(Arc::new(root))));

        let mut bus = Bus::new();
        let mut ports = |first, length, offset, target| {
            bus.claim_at(Space::Port, first, length, offset, target)
                .unwrap();
        };
        ports(pic::MASTER, 2, 0, pic.clone());
        ports(pic::SLAVE, 2, pic::SLAVE_OFFSET, pic.clone());
        ports(pic::ELCR, 2, pic::ELCR_OFFSET, pic.clone());
        ports(pit::COUNTERS, 4, 0, pit.clone());
        ports(pit::PORT_B, 1, pit::PORT_B_OFFSET, pit);
        ports(uart::PORTS[0], uart::LENGTH, 0, uart.clone());
        ports(rtc::PORTS, rtc::LENGTH, 0, rtc);
        ports(acpi::PORTS, acpi::LENGTH, 0, acpi.clone());
        ports(i8042::DATA, 1, 0, i8042.clone());
        ports(i8042::COMMAND, 1, i8042::COMMAND_OFFSET, i8042.clone());
        ports(
            reset::FAST_RESET,
            1,
            0,
            Arc::new(Mutex::new(FastReset::new())),
        );
        ports(reset::POST, 1, 0, Arc::new(Mutex::new(Post::default())));
        ports(reset::DEBUG_EXIT, 4, 0, Arc::new(Mutex::new(DebugExit)));
        ports(vga::PORTS, vga::PORTS_LENGTH, 0, screen);
        ports(pci::CONFIG_PORTS, 8, 0, config);
        bus.claim(
            Space::Memory,
            ioapic::ADDRESS,
            ioapic::LENGTH,
            ioapic.clone(),
        )
        .unwrap();
        Self {
            bus,
            pic,
            ioapic,
            uart,
            i8042,
            acpi,
            clock,
            engine,
        }
    }

    /// What vCPUs do: accesses, acknowledgements, ends of interrupts.
    fn act_as_guest(&self, random: &mut impl FnMut(u64) -> u64) {
        let (first, length) = PORTS[usize::try_from(random(PORTS.len() as u64)).unwrap()];
        let address = first + random(length);
        let value = random(1 << 32).to_le_bytes();
        let length = [1, 1, 2, 4][usize::try_from(random(4)).unwrap()];
        match random(8) {
            0..=3 => _ = self.bus.write(Space::Port, address, &value[..length]),
            4..=6 => _ = self.bus.read(Space::Port, address, &mut [0; 4][..length]),
            _ => {
                let register = [0, 0x10, 0x40][usize::try_from(random(3)).unwrap()];
                self.bus
                    .write(Space::Memory, ioapic::ADDRESS + register, &value[..4]);
                lock(&self.ioapic).end_of_interrupt(value[0]);
                if self.engine.interrupt.load(Ordering::Relaxed) {
                    lock(&self.pic).acknowledge();
                }
            }
        }
    }

    /// What the machine does: timers, characters, keys.
    fn act_as_machine(&self, random: &mut impl FnMut(u64) -> u64) {
        match random(6) {
            0 => _ = self.bus.deadline(),
            1 => self.bus.expire(self.clock.now()),
            2 => _ = lock(&self.uart).poll(),
            3 => {
                let code = random(256).to_le_bytes()[0];
                lock(&self.i8042).key(
                    i8042::Key {
                        code,
                        extended: false,
                    },
                    true,
                );
            }
            4 => lock(&self.acpi).press_power_button(),
            _ if random(1000) == 0 => self.bus.reset(),
            _ => {}
        }
    }
}

#[test]
fn nobody_waits_for_ever() {
    let board = Arc::new(Board::new());
    let (done, ends) = mpsc::channel();
    for seed in 1..=4_u64 {
        let (board, done) = (Arc::clone(&board), done.clone());
        thread::spawn(move || {
            let mut state = seed;
            let mut random = |below: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 8) % below
            };
            for _ in 0..60_000 {
                if seed == 1 {
                    board.act_as_machine(&mut random);
                } else {
                    board.act_as_guest(&mut random);
                }
            }
            done.send(seed).unwrap();
        });
    }
    drop(done);
    for _ in 1..=4 {
        ends.recv_timeout(Duration::from_secs(60))
            .expect("every thread comes to its end");
    }
    assert!(board.engine.messages.load(Ordering::Relaxed) > 0);
}
