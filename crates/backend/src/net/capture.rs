//! Writes the frames of a network to a file, in the format of libpcap.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use iface::{NIC_HEADER, Nic, Offloads};
use mem::{GuestRam, Pieces};

/// First word of a file whose times are in microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;
/// The link layer is Ethernet.
const ETHERNET: u32 = 1;
/// Bytes of a frame that are kept.
const SNAP: u32 = 1 << 18;

/// A network, and the file.
pub struct Capture {
    nic: Arc<dyn Nic>,
    file: Mutex<File>,
}

impl Capture {
    /// Writes what passes a network to a new file, or over an old one.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn new(nic: Arc<dyn Nic>, path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        let version = 2 | 4 << 16;
        let words: [u32; 6] = [MAGIC, version, 0, 0, SNAP, ETHERNET];
        file.write_all(&words.map(u32::to_le_bytes).concat())?;
        let file = Mutex::new(file);
        Ok(Self { nic, file })
    }

    /// Writes a frame behind its header. A full disk ends the capture and not the network.
    fn record(&self, frame: &[u8]) {
        let frame = frame.get(NIC_HEADER..).unwrap_or_default();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let len = frame.len() as u32;
        let words = [now.as_secs() as u32, now.subsec_micros(), len, len];
        let mut record = words.map(u32::to_le_bytes).concat();
        record.extend(frame);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(&record) {
            tracing::debug!(%error, "a frame is not captured");
        }
    }
}

impl Nic for Capture {
    fn pairs(&self) -> u16 {
        self.nic.pairs()
    }

    fn offloads(&self) -> Offloads {
        self.nic.offloads()
    }

    fn set_guest_offloads(&self, offloads: Offloads) {
        self.nic.set_guest_offloads(offloads);
    }

    fn mtu(&self) -> Option<u16> {
        self.nic.mtu()
    }

    fn send(&self, queue: u16, ram: &GuestRam, frame: Pieces) -> io::Result<()> {
        let mut bytes = vec![0; frame.len() as usize];
        frame.clone().read(ram, &mut bytes);
        self.record(&bytes);
        self.nic.send(queue, ram, frame)
    }

    fn flush(&self, queue: u16) {
        self.nic.flush(queue);
    }

    fn receive(&self, queue: u16, to: &mut [u8]) -> io::Result<usize> {
        let len = self.nic.receive(queue, to)?;
        self.record(to.get(..len).unwrap_or_default());
        Ok(len)
    }

    fn ready(&self, queue: u16) -> BorrowedFd<'_> {
        self.nic.ready(queue)
    }
}
