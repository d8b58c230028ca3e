//! From a memory operand to a linear address: effective address, segment limit and rights.

use dbt::Window;
use x86::descriptor::SegmentRegister;
use x86::{Exception, Vector};

use crate::block::{Flat, Op};
use crate::cpu::Cpu;
use crate::trap::{R, Trap};

impl Cpu {
    /// Tells generated code, outside 64-bit mode, what the segments let through.
    pub(crate) fn open_windows(&mut self) {
        let checked = self.mode.protected && !self.mode.v86;
        for (window, segment) in self.ctx.windows.iter_mut().zip(&self.seg) {
            let attributes = segment.attributes;
            let end = match !attributes.is_code() && attributes.is_conforming() {
                // It expands down.
                true => 0,
                false => u64::from(segment.limit) + 1,
            };
            let (read, write) = match (attributes.is_code(), attributes.is_readable_or_writable()) {
                _ if !checked => (true, true),
                _ if attributes.is_unusable() => (false, false),
                (true, right) => (right, false),
                (false, right) => (true, right),
            };
            *window = Window {
                base: segment.base,
                read_end: if read { end } else { 0 },
                write_end: if write { end } else { 0 },
            };
        }
    }

    /// The effective address of an op's memory operand, before segmentation.
    #[inline(always)]
    pub(crate) fn effective(&self, op: &Op) -> u64 {
        let gpr = &self.ctx.gpr;
        gpr[usize::from(op.base & 31)]
            .wrapping_add(gpr[usize::from(op.index & 31)] << (op.scale & 3))
            .wrapping_add(op.disp)
    }

    /// The linear address of a memory operand of `bytes` bytes that is read.
    #[inline(always)]
    pub(crate) fn linear_read(&self, op: &Op, bytes: u64) -> R<u64> {
        let address = self.effective(op);
        if op.flat == Flat::Wide {
            Ok(address)
        } else {
            self.linear(op.seg, address & op.address_mask(), bytes, false)
        }
    }

    /// The linear address of a memory operand of `bytes` bytes that is written, or read and written.
    #[inline(always)]
    pub(crate) fn linear_write(&self, op: &Op, bytes: u64) -> R<u64> {
        let address = self.effective(op);
        if op.flat == Flat::Wide {
            Ok(address)
        } else {
            self.linear(op.seg, address & op.address_mask(), bytes, true)
        }
    }

    /// The linear address of `bytes` bytes at `offset` in a segment (by number), its limit and rights checked
    /// (SDM vol. 3, 5.3 and 5.5). `offset` is already cut to the address size.
    pub(crate) fn linear(&self, seg: u8, offset: u64, bytes: u64, write: bool) -> R<u64> {
        let segment = &self.seg[usize::from(seg)];
        if self.mode.is_64bit() {
            let base = if seg >= SegmentRegister::Fs as u8 {
                segment.base
            } else {
                0
            };
            return Ok(base.wrapping_add(offset));
        }
        let attributes = segment.attributes;
        let refuse = || {
            let vector = if seg == SegmentRegister::Ss as u8 {
                Vector::SS
            } else {
                Vector::GP
            };
            Err(Trap::fault(Exception::new(vector)))
        };
        if self.mode.protected && !self.mode.v86 {
            let right = match (attributes.is_code(), write) {
                _ if attributes.is_unusable() => false,
                (true, true) => false,
                (true, false) | (false, true) => attributes.is_readable_or_writable(),
                (false, false) => true,
            };
            if !right {
                return refuse();
            }
        }
        let last = offset + (bytes - 1);
        let limit = u64::from(segment.limit);
        let inside = if !attributes.is_code() && attributes.is_conforming() {
            let top = if attributes.is_big() {
                0xffff_ffff
            } else {
                0xffff
            };
            offset > limit && last <= top
        } else {
            // No access violates the largest limit, not even one that wraps.
            last <= limit || limit == 0xffff_ffff
        };
        if inside {
            Ok(segment.base.wrapping_add(offset) & 0xffff_ffff)
        } else {
            refuse()
        }
    }
}
