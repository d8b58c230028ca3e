//! Routes by which KVM learns of which interrupts it has to tell the end.
//!
//! Messages go straight to the local APICs. Of those with level trigger mode our I/O APIC wants to know the end, and
//! KVM leaves the guest for it only when a route says that such a message may come. So the first message of each
//! kind makes a route; there are more of them than a guest has interrupts in service, and the oldest makes room.

use std::io;

use iface::Msi;
use kvm_bindings::{KVM_IRQ_ROUTING_MSI, KvmIrqRouting, kvm_irq_routing_entry};
use kvm_ioctls::VmFd;

use crate::ioctl::done;

/// Routes that can be told apart; also the pins that KVM is told to leave to us.
pub(crate) const PINS: u32 = 256;

/// Level trigger mode in a message's data.
const LEVEL: u32 = 1 << 15;
/// Level assert in a message's data, which makes no difference to what it is.
const ASSERT: u32 = 1 << 14;

/// Whether a message's trigger mode is level.
pub(crate) fn is_level(msi: Msi) -> bool {
    msi.data & LEVEL != 0
}

/// The routes made so far.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    known: Vec<Msi>,
    next: usize,
}

impl Routes {
    /// Takes a message that is about to be sent; true when there is a new route.
    pub(crate) fn learn(&mut self, msi: Msi) -> bool {
        let msi = Msi {
            data: msi.data & !ASSERT,
            ..msi
        };
        if !is_level(msi) || self.known.contains(&msi) {
            return false;
        }
        if self.known.len() < PINS as usize {
            self.known.push(msi);
        } else {
            self.known[self.next] = msi;
            self.next = (self.next + 1) % PINS as usize;
        }
        true
    }

    /// A level-triggered interrupt that a vCPU was loaded with, in service or waiting.
    pub(crate) fn learn_pending(&mut self, apic_id: u32, vector: u8) -> bool {
        self.learn(Msi {
            address: 0xfee0_0000 | u64::from(apic_id & 0xff) << 12 | u64::from(apic_id >> 8) << 40,
            data: LEVEL | u32::from(vector),
        })
    }

    /// Tells KVM.
    pub(crate) fn install(&self, vm: &VmFd) -> io::Result<()> {
        let entries: Vec<_> = (0..)
            .zip(&self.known)
            .map(|(gsi, msi)| entry(gsi, *msi))
            .collect();
        let routing = KvmIrqRouting::from_entries(&entries)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        done(vm.set_gsi_routing(&routing))
    }
}

/// A route that sends a message.
pub(crate) fn entry(gsi: u32, msi: Msi) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_MSI,
        ..Default::default()
    };
    entry.u.msi.address_lo = msi.address as u32;
    entry.u.msi.address_hi = (msi.address >> 32) as u32;
    entry.u.msi.data = msi.data;
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(vector: u32) -> Msi {
        Msi {
            address: 0xfee0_0000,
            data: LEVEL | vector,
        }
    }

    #[test]
    fn level_messages_make_a_route_once() {
        let mut routes = Routes::default();
        assert!(!routes.learn(Msi {
            address: 0xfee0_0000,
            data: 0x31
        }));
        assert!(routes.learn(level(0x31)));
        assert!(!routes.learn(level(0x31 | ASSERT)));
        assert!(routes.learn_pending(1, 0x31));
        assert_eq!(routes.known.len(), 2);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut routes = Routes::default();
        for number in 0..=PINS {
            assert!(routes.learn(Msi {
                address: u64::from(number) << 12,
                ..level(0x40)
            }));
        }
        assert_eq!(routes.known.len(), PINS as usize);
        assert!(
            routes.learn(Msi {
                address: 0,
                ..level(0x40)
            }),
            "it was replaced"
        );
        assert!(!routes.learn(Msi {
            address: 2 << 12,
            ..level(0x40)
        }));
    }
}
