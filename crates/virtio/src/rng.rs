//! The entropy device (virtio 1.2, 5.4).

use std::fs::File;
use std::sync::Arc;

use iface::Misfit;

use crate::{Driver, Handler, Queue, VirtioDevice, Wait};

const ID: u16 = 4;
/// "Other" of the base systems' class: no class code fits.
const CLASS: u32 = 0x00_ff_00;
/// Bytes that one request gets at most.
const REQUEST_MAX: u64 = 64 << 10;

/// A source of random bytes.
pub struct Rng {
    source: Arc<File>,
}

impl Rng {
    /// From a file that random bytes can be read from without end.
    #[must_use]
    pub fn new(source: File) -> Self {
        Self {
            source: Arc::new(source),
        }
    }
}

impl VirtioDevice for Rng {
    const NAME: &'static str = "virtio-rng";
    const VERSION: u32 = 1;
    type State = ();

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> Vec<u16> {
        vec![64]
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn start(&mut self, _: u16, _: &Driver) -> Box<dyn Handler> {
        Box::new(Requests(self.source.clone()))
    }

    fn save(&self) {}

    fn restore(&mut self, (): ()) -> Result<(), Misfit> {
        Ok(())
    }
}

struct Requests(Arc<File>);

impl Handler for Requests {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        while let Some(mut chain) = queue.pop() {
            let mut place = chain.writable.take(REQUEST_MAX);
            let filled = place
                .fill_from(queue.ram(), &*self.0, None)
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "no random bytes");
                    0
                });
            queue.complete(chain.token, u32::try_from(filled).unwrap_or(0));
            queue.signal();
        }
        Wait::Driver
    }
}
