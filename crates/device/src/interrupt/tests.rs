use std::sync::{Arc, Mutex};

use iface::{Device, InterruptLine};

use super::IsaLine;
use crate::testing::{FakeLine, FakeSink};
use crate::{IoApic, Pic};

#[test]
fn an_isa_line_reaches_both_controllers() {
    let (output, sink) = (FakeLine::new(), FakeSink::new());
    let pic = Arc::new(Mutex::new(Pic::new(output.clone())));
    let ioapic = Arc::new(Mutex::new(IoApic::new(sink.clone())));
    for (irq, pin) in [(0, 2), (4, 4), (9, 9)] {
        let mut controller = ioapic.lock().unwrap();
        controller.write(0x00, &[0x10 + 2 * pin]);
        controller.write(0x10, &u32::from(0x30 + pin).to_le_bytes());
        drop(controller);
        let line = IsaLine::new(&pic, &ioapic, irq);
        line.set(true);
        assert!(output.level());
        assert_eq!(pic.lock().unwrap().acknowledge() & 7, irq & 7);
        let sent = sink.take();
        assert_eq!(
            sent.iter().map(|msi| msi.data & 0xff).collect::<Vec<_>>(),
            [u32::from(0x30 + pin)]
        );
        for base in [0, 2] {
            pic.lock().unwrap().write(base, &[0x20]);
        }
    }
}
