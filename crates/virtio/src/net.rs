//! The network device (virtio 1.2, 5.1).

use std::sync::{Arc, Mutex};

use device::lock;
use iface::{Misfit, Nic, Offloads};

use crate::{Driver, Handler, VirtioDevice};

mod control;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

const ID: u16 = 1;
/// Ethernet controller.
const CLASS: u32 = 0x02_00_00;
const QUEUE_SIZE: u16 = 256;
const CONTROL_SIZE: u16 = 64;

const CSUM: u64 = 1 << 0;
const GUEST_CSUM: u64 = 1 << 1;
const CTRL_GUEST_OFFLOADS: u64 = 1 << 2;
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
const GUEST_TSO4: u64 = 1 << 7;
const GUEST_TSO6: u64 = 1 << 8;
const GUEST_ECN: u64 = 1 << 9;
const HOST_TSO4: u64 = 1 << 11;
const HOST_TSO6: u64 = 1 << 12;
const HOST_ECN: u64 = 1 << 13;
const MRG_RXBUF: u64 = 1 << 15;
const STATUS: u64 = 1 << 16;
const CTRL_VQ: u64 = 1 << 17;
const MQ: u64 = 1 << 22;
const CTRL_MAC_ADDR: u64 = 1 << 23;

/// Status: the link is up.
const LINK_UP: u16 = 1;

/// Offloads of the backend's, and the features by which the driver takes them over, or leaves them to it.
const OFFLOADS: [(Offloads, u64, u64); 4] = [
    (Offloads::CHECKSUM, GUEST_CSUM, CSUM),
    (Offloads::TSO4, GUEST_TSO4, HOST_TSO4),
    (Offloads::TSO6, GUEST_TSO6, HOST_TSO6),
    (Offloads::ECN, GUEST_ECN, HOST_ECN),
];

/// What the guest takes over, out of feature bits.
fn guest_offloads(features: u64) -> Offloads {
    let taken = OFFLOADS
        .iter()
        .filter(|(_, guest, _)| features & guest != 0);
    taken.fold(Offloads::default(), |set, (offload, ..)| set.with(*offload))
}

/// A network interface.
pub struct Net {
    nic: Arc<dyn Nic>,
    mac: Arc<Mutex<[u8; 6]>>,
    /// The address after a reset.
    own_mac: [u8; 6],
    pairs: u16,
}

impl Net {
    /// An interface with this address.
    #[must_use]
    pub fn new(nic: Arc<dyn Nic>, mac: [u8; 6]) -> Self {
        Self {
            pairs: nic.pairs().max(1),
            nic,
            mac: Arc::new(Mutex::new(mac)),
            own_mac: mac,
        }
    }
}

impl VirtioDevice for Net {
    const NAME: &'static str = "virtio-net";
    const VERSION: u32 = 1;
    /// The address.
    type State = [u8; 6];

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        let offered = self.nic.offloads();
        let offered = OFFLOADS
            .iter()
            .filter(|(offload, ..)| offered.has(*offload));
        let offloads = offered.fold(0, |bits, (_, guest, host)| bits | guest | host);
        let always = MAC | MRG_RXBUF | STATUS | CTRL_VQ | CTRL_MAC_ADDR;
        let control = if offloads == 0 {
            0
        } else {
            CTRL_GUEST_OFFLOADS
        };
        let mtu = if self.nic.mtu().is_some() { MTU } else { 0 };
        let queues = if self.pairs > 1 { MQ } else { 0 };
        always | offloads | control | mtu | queues
    }

    fn queues(&self) -> Vec<u16> {
        let mut queues = vec![QUEUE_SIZE; 2 * usize::from(self.pairs)];
        queues.push(CONTROL_SIZE);
        queues
    }

    fn config(&self) -> Vec<u8> {
        let mut config = lock(&self.mac).to_vec();
        for value in [LINK_UP, self.pairs, self.nic.mtu().unwrap_or(1500)] {
            config.extend(value.to_le_bytes());
        }
        config
    }

    fn start(&mut self, index: u16, driver: &Driver) -> Box<dyn Handler> {
        let control = if driver.has(MQ) { 2 * self.pairs } else { 2 };
        let nic = self.nic.clone();
        if index == 0 {
            nic.set_guest_offloads(guest_offloads(driver.features));
        }
        if index == control {
            return Box::new(control::Commands {
                nic,
                mac: self.mac.clone(),
                pairs: self.pairs,
            });
        }
        let pair = index / 2;
        if index.is_multiple_of(2) {
            Box::new(receive::Receive::new(nic, pair, driver.has(MRG_RXBUF)))
        } else {
            Box::new(transmit::Transmit { nic, pair })
        }
    }

    fn reset(&mut self) {
        *lock(&self.mac) = self.own_mac;
    }

    fn save(&self) -> [u8; 6] {
        *lock(&self.mac)
    }

    fn restore(&mut self, mac: [u8; 6]) -> Result<(), Misfit> {
        *lock(&self.mac) = mac;
        Ok(())
    }
}
