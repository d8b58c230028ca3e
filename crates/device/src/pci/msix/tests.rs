use std::sync::Arc;

use fastrand::Rng;
use iface::Msi;

use super::Msix;
use crate::pci::{ConfigSpace, Identity};
use crate::testing::FakeSink;

const ENABLE: [u8; 2] = [0, 0x80];
const ENABLE_MASKED: [u8; 2] = [0, 0xc0];

struct Rig {
    config: ConfigSpace,
    msix: Msix,
    sink: Arc<FakeSink>,
}

impl Rig {
    fn new() -> Self {
        let mut config = ConfigSpace::new(Identity {
            vendor: 1,
            device: 2,
            revision: 0,
            class: 0,
            subsystem_vendor: 0,
            subsystem: 0,
        });
        let sink = FakeSink::new();
        let msix = Msix::new(10, sink.clone(), &mut config, 1, [0x4000, 0x5000]);
        Self { config, msix, sink }
    }

    fn control(&mut self, bytes: [u8; 2]) {
        self.config.write(0x42, &bytes);
        self.msix.configured(&self.config);
    }

    fn set(&self, vector: u64, address: u64, data: u32, masked: bool) {
        self.msix.write_table(vector * 16, &address.to_le_bytes());
        let rest = u64::from(data) | u64::from(masked) << 32;
        self.msix.write_table(vector * 16 + 8, &rest.to_le_bytes());
    }

    fn pending(&self) -> u64 {
        let mut data = [0; 8];
        self.msix.read_pending(0, &mut data);
        u64::from_le_bytes(data)
    }
}

#[test]
fn the_capability_tells_where_the_table_is() {
    let rig = Rig::new();
    let mut bytes = [0; 12];
    rig.config.read(0x40, &mut bytes);
    assert_eq!(bytes, [0x11, 0, 9, 0, 1, 0x40, 0, 0, 1, 0x50, 0, 0]);
}

#[test]
fn a_vector_is_sent_when_enabled_and_kept_while_masked() {
    let mut rig = Rig::new();
    let message = Msi {
        address: 0xfee0_1000,
        data: 0x41,
    };
    rig.set(9, message.address, message.data, false);
    rig.msix.signal(9);
    assert_eq!(rig.sink.take(), [], "not enabled: signals vanish");
    rig.control(ENABLE_MASKED);
    rig.msix.signal(9);
    assert_eq!((rig.sink.take(), rig.pending()), (vec![], 1 << 9));
    rig.control(ENABLE);
    assert_eq!((rig.sink.take(), rig.pending()), (vec![message], 0));
    rig.set(9, message.address, message.data, true);
    rig.msix.signal(9);
    rig.msix.signal(9);
    assert_eq!((rig.sink.take(), rig.pending()), (vec![], 1 << 9));
    rig.set(9, message.address, message.data, false);
    assert_eq!(rig.sink.take(), [message]);
    rig.msix.signal(10);
    rig.msix.signal(0xffff);
    assert_eq!(rig.sink.take(), []);
}

#[test]
fn messages_go_to_local_apics_only() {
    let mut rig = Rig::new();
    rig.control(ENABLE);
    rig.set(0, 0x1_fee0_0000, 1, false);
    rig.msix.signal(0);
    rig.set(0, 0x1000, 1, false);
    rig.msix.signal(0);
    assert_eq!(rig.sink.take(), []);
}

#[test]
fn state_is_taken_up_and_reset_masks_everything() {
    let mut rig = Rig::new();
    rig.control(ENABLE);
    rig.set(3, 0xfee0_0000, 7, false);
    let state = rig.msix.save();
    rig.msix.reset(&mut rig.config);
    assert_eq!(rig.config.word(0x42), 9);
    let mut word = [0; 4];
    rig.msix.read_table(3 * 16 + 12, &mut word);
    assert_eq!(word, [1, 0, 0, 0]);
    rig.msix.restore("test", state.clone()).unwrap();
    rig.msix.signal(3);
    assert_eq!(rig.sink.take().len(), 1);
    let mut other = state;
    other.table.pop();
    assert!(rig.msix.restore("test", other).is_err());
}

#[test]
fn any_access_is_answered() {
    let mut rig = Rig::new();
    let mut random = Rng::with_seed(1);
    for _ in 0..20_000 {
        let offset = random.u64(..) >> (random.u64(..64));
        let bytes = random.u64(..).to_le_bytes();
        let mut data = [0; 8];
        match random.u64(..5) {
            0 => rig.msix.write_table(offset, &bytes),
            1 => rig.msix.read_table(offset.min(u64::MAX - 8), &mut data),
            2 => rig.msix.read_pending(offset.min(u64::MAX - 8), &mut data),
            3 => rig
                .msix
                .signal(u16::from_le_bytes([bytes.first().copied().unwrap_or(0), 0])),
            _ => rig.control([0, bytes.first().copied().unwrap_or(0)]),
        }
    }
    assert!(rig.sink.take().iter().all(|msi| msi.address >> 20 == 0xfee));
}
