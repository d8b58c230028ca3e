//! The doorbells of a function where the engine can ring the queues' bells itself: they follow its BAR.

use std::os::fd::AsFd;
use std::sync::Arc;

use host::Bell;
use iface::Doorbells;

use super::{NOTIFY, NOTIFY_STEP};

/// What is connected.
pub(super) struct Connections {
    doorbells: Arc<dyn Doorbells>,
    /// By queue.
    connected: Vec<Option<Connection>>,
}

struct Connection {
    address: u64,
    bell: Arc<Bell>,
    /// The engine would not: the transport rings the bell.
    refused: bool,
}

impl Connections {
    pub(super) fn new(doorbells: Arc<dyn Doorbells>, queues: u16) -> Self {
        Self {
            doorbells,
            connected: (0..queues).map(|_| None).collect(),
        }
    }

    /// Follows the BAR, which lies at `base` if anywhere, and the queues' bells.
    pub(super) fn follow(&mut self, base: Option<u64>, bells: &[Option<Arc<Bell>>]) {
        for (index, (slot, bell)) in (0_u64..).zip(self.connected.iter_mut().zip(bells)) {
            let address = base.map(|base| base + NOTIFY + index * NOTIFY_STEP);
            let wanted = address.zip(bell.as_ref());
            let is_same = match (&*slot, wanted) {
                (Some(now), Some((address, bell))) => {
                    now.address == address && Arc::ptr_eq(&now.bell, bell)
                }
                (None, None) => true,
                _ => false,
            };
            if is_same {
                continue;
            }
            if let Some(old) = slot.take() {
                disconnect(&*self.doorbells, &old);
            }
            *slot = wanted.map(|(address, bell)| Connection {
                address,
                bell: bell.clone(),
                refused: !self.doorbells.connect(address, bell.as_fd()),
            });
        }
    }
}

fn disconnect(doorbells: &dyn Doorbells, connection: &Connection) {
    if !connection.refused {
        doorbells.disconnect(connection.address, connection.bell.as_fd());
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for connection in self.connected.iter().flatten() {
            disconnect(&*self.doorbells, connection);
        }
    }
}
