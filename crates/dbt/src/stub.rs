//! Native stubs: one guest instruction as a callable piece of host code.
//!
//! ```text
//!   instruction -> form (registers and addresses taken away) -> stub number, and slots for its registers
//!   stub number -> Stub: code, size and use of the memory operand -> Stub::call
//! ```
//!
//! Stubs are made once in the life of the process, shared by all threads, and never changed: calling one needs
//! no lock. An exception that the host's processor raises in a stub (#XM, #DE) arrives as a signal, whose
//! handler makes the stub return the exception's vector instead, with nothing stored but MXCSR.
#![allow(unsafe_code, reason = "calls generated code")]

use std::arch::asm;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use host::fault::Escape;
use iced_x86::Instruction;
use mem::{GuestRam, Offset};
use x86::Vector;

use crate::code::CodeMemory;
use crate::emit::{self, Access};
use crate::form::{self, Slots};
use crate::{Context, Error};

/// More than there are forms.
const MOST: usize = 1 << 18;
/// Bytes of code memory; more than all stubs together need.
const CODE: usize = 32 << 20;

mod slot;
#[cfg(test)]
mod tests;

use slot::Slot;

/// By their numbers.
static STUBS: [Slot; MOST] = [const { Slot::new() }; MOST];
static MAKER: OnceLock<Maker> = OnceLock::new();

/// A memory operand of the monitor's own, for operands that cross pages or belong to devices.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Buffer(pub [u8; 64]);

/// Where a stub's memory operand is.
#[derive(Debug)]
pub enum Memory<'a> {
    /// Nowhere: it has none.
    None,
    /// In guest RAM. Whoever calls a stub that writes tells the page flags afterwards.
    Ram(&'a GuestRam, Offset),
    /// At the start of a buffer.
    Buffer(&'a mut Buffer),
}

/// Host code for one form of instruction.
#[derive(Debug)]
pub struct Stub {
    /// Address of code with the convention of [`emit`] that stays inside a [`Context`] and `bytes` bytes of memory.
    code: usize,
    /// Size of the memory operand, zero when there is none.
    pub bytes: u16,
    /// Alignment that the memory operand must have, or #GP.
    pub alignment: u16,
    /// What the stub does with the memory operand.
    pub access: Access,
}

struct Maker {
    memory: CodeMemory,
    numbers: Mutex<HashMap<Instruction, u32>>,
}

/// Prepares the code memory; what is made lazily otherwise is made now, so that errors come where they can
/// be told.
pub fn prepare() -> Result<(), Error> {
    maker().map(|_| ())
}

fn maker() -> Result<&'static Maker, Error> {
    if let Some(maker) = MAKER.get() {
        return Ok(maker);
    }
    let memory = CodeMemory::new(CODE).map_err(Error::CodeMemory)?;
    let maker = MAKER.get_or_init(|| Maker {
        memory,
        numbers: Mutex::new(HashMap::new()),
    });
    maker.install_escape()?;
    Ok(maker)
}

/// The number of the stub for an instruction and the slots of its registers; `None` when it is not one that
/// runs natively. To be kept with the decoded instruction.
pub fn find(instruction: &Instruction) -> Option<(u32, Slots)> {
    let (form, slots) = form::of(instruction)?;
    let maker = maker().ok()?;
    let mut numbers = maker.numbers.lock().expect("nobody panics holding it");
    if let Some(&number) = numbers.get(&form) {
        return Some((number, slots));
    }
    let number = numbers.len();
    let emitted = emit::emit(&form);
    let stub = Stub {
        code: maker.memory.add(&emitted.code)?,
        bytes: emitted.bytes as u16,
        alignment: form::alignment(form.code(), emitted.bytes) as u16,
        access: emitted.access,
    };
    STUBS.get(number)?.fill(stub).ok()?;
    numbers.insert(form, number as u32);
    Some((number as u32, slots))
}

/// The stub with a number that [`find`] returned.
#[inline(always)]
pub fn get(number: u32) -> &'static Stub {
    STUBS[number as usize % MOST]
        .get()
        .expect("stub numbers come from `find`")
}

impl Stub {
    /// Executes the instruction on a context's registers. `Err` is the exception that the host's processor
    /// raised, with registers and memory unchanged but for the flags in MXCSR.
    #[inline(always)]
    pub fn call(
        &self,
        context: &mut Context,
        slots: Slots,
        memory: Memory<'_>,
    ) -> Result<(), Vector> {
        let bytes = u64::from(self.bytes);
        let pointer = match memory {
            Memory::Ram(ram, at) => ram.pointer(at, bytes).as_ptr(),
            Memory::Buffer(buffer) => {
                assert!(bytes <= 64, "operands are smaller than buffers");
                buffer.0.as_mut_ptr()
            }
            Memory::None => {
                assert!(bytes == 0, "an operand that is nowhere");
                std::ptr::null_mut()
            }
        };
        let slots = Slots::from_bits(slots.bits());
        // SAFETY: the code stays inside the context, since valid slots do, and inside the memory operand,
        // whose bounds were checked above.
        let vector = unsafe { enter(self.code, context, pointer, slots) };
        if vector == 0 {
            Ok(())
        } else {
            Err(Vector(vector as u8))
        }
    }
}

/// Calls a stub.
///
/// # Safety
/// `code` is a [`Stub::code`], and `memory` points at as many bytes as it accesses.
#[inline(always)]
unsafe fn enter(code: usize, context: *mut Context, memory: *mut u8, slots: Slots) -> u64 {
    let status;
    // SAFETY: all registers that stubs change are named; the x87 registers are nobody else's (see `x87`).
    unsafe {
        asm!(
            "call {code}",
            code = in(reg) code,
            inout("rdi") context => _,
            inout("rsi") memory => _,
            inout("r8") slots.offset(0) => _,
            inout("r9") slots.offset(1) => _,
            inout("r10") slots.offset(2) => _,
            inout("r11") slots.offset(3) => _,
            out("rax") status, out("rcx") _, out("rdx") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
        );
    }
    status
}

impl Maker {
    /// Makes exceptions in stubs return: to code that puts MXCSR back, after keeping the guest's when that was
    /// what raised the exception.
    fn install_escape(&self) -> Result<(), Error> {
        static DONE: OnceLock<Result<(), std::io::ErrorKind>> = OnceLock::new();
        let done = DONE.get_or_init(|| {
            let full = std::io::ErrorKind::OutOfMemory;
            let leave = emit::leave(false);
            let leave_simd = emit::leave(true);
            let escape = Escape {
                code: self.memory.range(),
                target: self.memory.add(&leave).ok_or(full)?,
                simd_target: self.memory.add(&leave_simd).ok_or(full)?,
            };
            host::fault::escape(escape).map_err(|error| error.kind())
        });
        done.map_err(|kind| Error::Signals(kind.into()))
    }
}
