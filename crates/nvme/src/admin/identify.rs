//! Identify (5.15): what the controller and its namespace are.

use super::event::REQUESTS_MAX;
use crate::bytes::Page;
use crate::command::{ALL_NAMESPACES, Answer, Command, Status};
use crate::controller::Controller;
use crate::health::ERRORS_MAX;
use crate::io::{BLOCK, NAMESPACE};
use crate::{data, pci, register};

const NAMESPACE_STRUCTURE: u8 = 0x00;
const CONTROLLER_STRUCTURE: u8 = 0x01;
const ACTIVE_NAMESPACES: u8 = 0x02;
const NAMESPACE_DESCRIPTORS: u8 = 0x03;

/// Bytes of every structure.
const STRUCTURE: usize = 4096;
const MODEL: &str = "Suzerain NVMe disk";
const FIRMWARE: &str = "1";

/// Optional commands: Dataset Management and Write Zeroes.
const COMMANDS: u16 = 1 << 2 | 1 << 3;
/// A cache that is volatile, and can be flushed for all namespaces.
const CACHE: u8 = 0b111;
/// SGLs at any address, which may be longer than the data.
const SGLS: u32 = 1 | 1 << 18;
/// One firmware slot, read-only.
const FIRMWARE_SLOTS: u8 = 1 << 1 | 1;
/// Get Log Page takes long lengths and offsets.
const LOG_ATTRIBUTES: u8 = 1 << 2;
/// Kelvins that count as warm, and as critical.
const TEMPERATURES: [u16; 2] = [343, 373];
/// Power of the only state, in hundredths of a watt.
const POWER: u16 = 500;

/// Write Zeroes may deallocate; what deallocated blocks read as is not told.
const DEALLOCATION: u8 = 1 << 3;
/// The fields about preferred sizes are there.
const PREFERENCES: u8 = 1 << 4;
/// Blocks of a preferred unit, less one: 4 KiB.
const PREFERRED: u16 = 7;
/// log2 of a block's bytes.
const BLOCK_SHIFT: u8 = 9;
/// Types of identifiers.
const EUI: u8 = 1;
const NGUID: u8 = 2;

impl Controller {
    pub(super) fn identify(&self, command: &Command) -> Answer {
        let [kind, ..] = command.parameters().0.to_le_bytes();
        let namespace = command.namespace;
        let page = match kind {
            NAMESPACE_STRUCTURE if matches!(namespace, NAMESPACE | ALL_NAMESPACES) => {
                self.namespace(namespace == NAMESPACE)
            }
            NAMESPACE_DESCRIPTORS if namespace == NAMESPACE => self.descriptors(),
            NAMESPACE_STRUCTURE | NAMESPACE_DESCRIPTORS => return Err(Status::INVALID_NAMESPACE),
            CONTROLLER_STRUCTURE => self.controller(),
            ACTIVE_NAMESPACES if namespace < ALL_NAMESPACES - 1 => {
                let mut page = Page::new(STRUCTURE);
                if namespace < NAMESPACE {
                    page.put(0, &NAMESPACE.to_le_bytes());
                }
                page
            }
            ACTIVE_NAMESPACES => return Err(Status::INVALID_NAMESPACE),
            _ => return Err(Status::INVALID_FIELD),
        };
        self.give(command, page.bytes())
    }

    fn controller(&self) -> Page {
        let small = |number: usize| u8::try_from(number - 1).unwrap_or(u8::MAX);
        let [warm, critical] = TEMPERATURES;
        let mut page = Page::new(STRUCTURE);
        page.put(0, &pci::VENDOR.to_le_bytes())
            .put(2, &pci::SUBSYSTEM_VENDOR.to_le_bytes())
            .text(4, 20, &self.identity.serial)
            .text(24, 40, MODEL)
            .text(64, 8, FIRMWARE)
            .put(77, &[data::MAX_SHIFT])
            .put(80, &register::VERSION.to_le_bytes())
            // An I/O controller.
            .put(111, &[1])
            .put(259, &[small(REQUESTS_MAX)])
            .put(260, &[FIRMWARE_SLOTS, LOG_ATTRIBUTES, small(ERRORS_MAX)])
            .put(266, &warm.to_le_bytes())
            .put(268, &critical.to_le_bytes())
            // Entries of 64 and of 16 bytes, at least and at most.
            .put(512, &[0x66, 0x44])
            .put(516, &NAMESPACE.to_le_bytes())
            .put(520, &COMMANDS.to_le_bytes())
            .put(525, &[CACHE])
            .put(536, &SGLS.to_le_bytes())
            .put(768, self.identity.subsystem().as_bytes())
            .put(2048, &POWER.to_le_bytes());
        page
    }

    /// The namespace's structure, or what all namespaces have in common.
    fn namespace(&self, is_one: bool) -> Page {
        let mut page = Page::new(STRUCTURE);
        let blocks = (self.io.disk.len() / BLOCK).to_le_bytes();
        page.put(24, &[PREFERENCES])
            .put(33, &[DEALLOCATION])
            .put(128, &[0, 0, BLOCK_SHIFT, 0]);
        for at in [64, 66, 68, 70] {
            page.put(at, &PREFERRED.to_le_bytes());
        }
        if is_one {
            page.put(0, &blocks)
                .put(8, &blocks)
                .put(16, &blocks)
                .put(99, &[self.io.disk.is_read_only().into()])
                .put(104, &self.identity.nguid)
                .put(120, &self.identity.eui);
        }
        page
    }

    fn descriptors(&self) -> Page {
        let mut page = Page::new(STRUCTURE);
        page.put(0, &[EUI, 8])
            .put(4, &self.identity.eui)
            .put(12, &[NGUID, 16])
            .put(16, &self.identity.nguid);
        page
    }
}

const _: () = assert!(BLOCK == 1 << BLOCK_SHIFT);
const _: () = assert!((PREFERRED as u64 + 1) * BLOCK == mem::PAGE_SIZE);
