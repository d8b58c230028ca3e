//! The board that the guests' contract describes: PICs, PIT, RTC, UART, I/O APIC, reset port, debug exit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use device::{
    Bus, DebugExit, I8042, IoApic, IsaLine, Pic, Pit, Rtc, Target, Uart, Unconnected, i8042,
    ioapic, lock, pci, pic, pit, reset, rtc, uart,
};
use iface::{Action, Char, Clock, Engine, InterruptLine, Io, Kicker, Msi, MsiSink, Space};
use tinyguest::End;

/// The chipset, and how the guest ended.
pub(crate) struct Board {
    bus: Bus,
    pic: Arc<Mutex<Pic>>,
    ioapic: Arc<Mutex<IoApic>>,
    clock: Arc<dyn Clock>,
    end: Mutex<Option<End>>,
    given_up: AtomicBool,
    changed: Condvar,
    kickers: Mutex<Vec<Arc<dyn Kicker>>>,
}

/// Nobody at the other end of the serial line.
struct Silence;

impl Char for Silence {
    fn read(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn write(&mut self, from: &[u8]) -> usize {
        from.len()
    }
}

struct Intr(Arc<dyn Engine>);

impl InterruptLine for Intr {
    fn set(&self, level: bool) {
        self.0.set_interrupt_line(level);
    }
}

struct Messages(Arc<dyn Engine>);

impl MsiSink for Messages {
    fn send(&self, msi: Msi) {
        self.0.send_msi(msi);
    }
}

impl Board {
    pub(crate) fn new(engine: &Arc<dyn Engine>, clock: &Arc<dyn Clock>, memory: u64) -> Self {
        let pic = Arc::new(Mutex::new(Pic::new(Arc::new(Intr(engine.clone())))));
        let ioapic = Arc::new(Mutex::new(IoApic::new(Arc::new(Messages(engine.clone())))));
        let irq = |number| IsaLine::new(&pic, &ioapic, number) as Arc<dyn InterruptLine>;
        let pit = Arc::new(Mutex::new(Pit::new(clock.clone(), irq(0))));
        let uart = Uart::new(clock.clone(), irq(uart::IRQS[0]), Box::new(Silence));
        let size = rtc::MemorySize {
            low: memory,
            high: 0,
        };
        let rtc = Rtc::new(clock.clone(), irq(rtc::IRQ), size);
        let nowhere = || Arc::new(Unconnected) as Arc<dyn InterruptLine>;
        let root = pci::Root::new(
            std::array::from_fn(|_| nowhere()),
            std::array::from_fn(|_| nowhere()),
        );
        let bridge = Arc::new(Mutex::new(pci::HostBridge::new()));
        let first = pci::Address::new(0, 0).expect("0 and 0 are in range");
        root.attach(first, bridge).expect("the bus is empty");
        let config = pci::ConfigPorts::new(Arc::new(root));

        let mut bus = Bus::new();
        let mut ports = |first, len, offset, target: Arc<dyn Target>| {
            bus.claim_at(Space::Port, first, len, offset, target)
                .expect("the board's map has no overlaps");
        };
        ports(pic::MASTER, 2, 0, pic.clone());
        ports(pic::SLAVE, 2, pic::SLAVE_OFFSET, pic.clone());
        ports(pic::ELCR, 2, pic::ELCR_OFFSET, pic.clone());
        ports(pit::COUNTERS, pit::COUNTERS_LENGTH, 0, pit.clone());
        ports(pit::PORT_B, 1, pit::PORT_B_OFFSET, pit.clone());
        ports(uart::PORTS[0], uart::LENGTH, 0, Arc::new(Mutex::new(uart)));
        ports(rtc::PORTS, rtc::LENGTH, 0, Arc::new(Mutex::new(rtc)));
        let keyboard = Arc::new(Mutex::new(I8042::new(
            irq(i8042::KEYBOARD_IRQ),
            irq(i8042::MOUSE_IRQ),
        )));
        ports(i8042::DATA, 1, 0, keyboard.clone());
        ports(i8042::COMMAND, 1, i8042::COMMAND_OFFSET, keyboard);
        let length = pci::CONFIG_PORTS_LENGTH;
        ports(pci::CONFIG_PORTS, length, 0, Arc::new(Mutex::new(config)));
        let exit = Arc::new(Mutex::new(DebugExit));
        ports(reset::DEBUG_EXIT, reset::DEBUG_EXIT_LENGTH, 0, exit);
        bus.claim(
            Space::Memory,
            ioapic::ADDRESS,
            ioapic::LENGTH,
            ioapic.clone(),
        )
        .expect("the board's map has no overlaps");
        Self {
            bus,
            pic,
            ioapic,
            clock: clock.clone(),
            end: Mutex::new(None),
            given_up: AtomicBool::new(false),
            changed: Condvar::new(),
            kickers: Mutex::new(Vec::new()),
        }
    }

    /// Whom to kick when the guest ends.
    pub(crate) fn set_kickers(&self, kickers: Vec<Arc<dyn Kicker>>) {
        *self.kickers.lock().unwrap_or_else(PoisonError::into_inner) = kickers;
    }

    /// The first end counts.
    pub(crate) fn end(&self, end: End) {
        let mut ended = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        ended.get_or_insert(end);
        drop(ended);
        self.changed.notify_all();
        self.kick();
    }

    /// Nothing more is to happen, though the guest has not ended.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        self.kick();
    }

    /// Whether vCPUs shall stop.
    pub(crate) fn is_over(&self) -> bool {
        self.given_up.load(Ordering::SeqCst) || self.ended().is_some()
    }

    fn kick(&self) {
        let kickers = self.kickers.lock().unwrap_or_else(PoisonError::into_inner);
        kickers.iter().for_each(|kicker| kicker.kick());
    }

    pub(crate) fn ended(&self) -> Option<End> {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets devices act on their deadlines until the guest has ended, or `patience` has run out.
    pub(crate) fn keep_time(&self, patience: Duration) {
        /// A deadline that moves while this thread sleeps is met so late at most.
        const STEP: Duration = Duration::from_millis(1);
        let start = self.clock.now();
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let mut ended = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        while ended.is_none()
            && !self.given_up.load(Ordering::SeqCst)
            && self.clock.now() - start < patience
        {
            let wait = self.bus.deadline().map_or(STEP, |deadline| {
                Duration::from_nanos(deadline.saturating_sub(self.clock.now())).min(STEP)
            });
            let woken = self.changed.wait_timeout(ended, wait);
            drop(woken);
            self.bus.expire(self.clock.now());
            ended = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn act(&self, action: Action) {
        match action {
            Action::None | Action::Rearm | Action::PowerOff => {}
            Action::Reset => self.end(End::Reset),
            Action::DebugExit(status) => self.end(End::Exit(status.into())),
        }
    }
}

impl Io for Board {
    fn read(&self, space: Space, address: u64, data: &mut [u8]) {
        self.act(self.bus.read(space, address, data));
    }

    fn write(&self, space: Space, address: u64, data: &[u8]) {
        self.act(self.bus.write(space, address, data));
    }

    fn end_of_interrupt(&self, vector: u8) {
        lock(&self.ioapic).end_of_interrupt(vector);
    }

    fn acknowledge(&self) -> u8 {
        lock(&self.pic).acknowledge()
    }
}
