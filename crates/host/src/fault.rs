//! Processor exceptions in generated code.
//!
//! Code that was generated may raise an exception on purpose: it then goes on at an address that was named
//! beforehand, with the exception's vector in RAX. Stubs of the whole process share one [`Escape`]; each vCPU's blocks
//! are a [`Region`]. Exceptions anywhere else go to whoever handled them before.
#![allow(unsafe_code, reason = "signal handlers")]

use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{REG_RAX, REG_RCX, REG_RIP, REG_TRAPNO, c_int, c_void, siginfo_t, ucontext_t};

/// Where exceptions in a range of code go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escape {
    /// Addresses of the code.
    pub code: Range<usize>,
    /// Where execution goes on.
    pub target: usize,
    /// Where it goes on after a SIMD floating-point exception (#XM).
    pub simd_target: usize,
}

/// #DE, #UD, #GP, #MF, #XM.
const VECTORS: [i64; 5] = [0, 6, 13, SIMD - 3, SIMD];
const PAGE_FAULT: i64 = 14;
const SIMD: i64 = 19;
const SIGNALS: [c_int; 3] = [libc::SIGFPE, libc::SIGILL, libc::SIGSEGV];

static ESCAPE: OnceLock<Escape> = OnceLock::new();
/// More regions of code than vCPUs of all machines that one process ever runs at a time.
static REGIONS: [Slot; 256] = [const { Slot::EMPTY }; 256];

/// A region of code, or none.
struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    target: AtomicUsize,
    /// Where a thread was seen in it last, or zero.
    sample: AtomicUsize,
}

impl Slot {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "initial value of statics"
    )]
    const EMPTY: Self = Self {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        target: AtomicUsize::new(0),
        sample: AtomicUsize::new(0),
    };
}

/// A region whose exceptions go on at an address of its own, with the vector in RAX and the address of the
/// exception in RCX; as long as it lives.
#[derive(Debug)]
pub struct Region(usize);

impl Region {
    /// Registers `code`, after [`escape`]; `None` when there are too many.
    pub fn new(code: &Range<usize>, target: usize) -> Option<Self> {
        let free = |slot: &Slot| {
            let claim =
                slot.start
                    .compare_exchange(0, code.start, Ordering::SeqCst, Ordering::SeqCst);
            claim.is_ok()
        };
        let index = REGIONS.iter().position(free)?;
        REGIONS[index].target.store(target, Ordering::SeqCst);
        REGIONS[index].end.store(code.end, Ordering::SeqCst);
        Some(Self(index))
    }

    fn find(at: usize) -> Option<&'static Slot> {
        let inside = |slot: &&Slot| {
            slot.start.load(Ordering::SeqCst) <= at && at < slot.end.load(Ordering::SeqCst)
        };
        REGIONS.iter().find(inside)
    }

    fn target(at: usize) -> Option<usize> {
        Some(Self::find(at)?.target.load(Ordering::SeqCst))
    }

    /// Notes that a thread is at an address, if that lies in a region.
    pub(crate) fn sample(at: usize) {
        if let Some(slot) = Self::find(at) {
            slot.sample.store(at, Ordering::Relaxed);
        }
    }

    /// Where a thread was seen in it since the last time, if one was.
    #[inline(always)]
    pub fn take_sample(&self) -> Option<usize> {
        let sample = &REGIONS[self.0].sample;
        match sample.load(Ordering::Relaxed) {
            0 => None,
            _ => Some(sample.swap(0, Ordering::Relaxed)).filter(|&at| at != 0),
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let slot = &REGIONS[self.0];
        slot.end.store(0, Ordering::SeqCst);
        slot.start.store(0, Ordering::SeqCst);
    }
}
static PREVIOUS: [OnceLock<libc::sigaction>; 3] = [const { OnceLock::new() }; 3];

/// Installs an escape; there can be one in a process.
pub fn escape(escape: Escape) -> io::Result<()> {
    if ESCAPE.get_or_init(|| escape.clone()) != &escape {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    for (signal, previous) in SIGNALS.iter().zip(&PREVIOUS) {
        // SAFETY: both structures are valid; the handler is async-signal-safe.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(*signal, std::ptr::null(), &mut old) != 0 {
                return Err(io::Error::last_os_error());
            }
            previous.get_or_init(|| old);
            let mut new: libc::sigaction = std::mem::zeroed();
            new.sa_sigaction = handle as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            if libc::sigaction(*signal, &new, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid context to a handler installed with SA_SIGINFO.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let vector = registers[REG_TRAPNO as usize];
    let at = registers[REG_RIP as usize] as usize;
    // SAFETY: as above. Signals that processes send have codes that are not positive.
    let raised = unsafe { (*info).si_code } > 0;
    if raised
        && (VECTORS.contains(&vector) || vector == PAGE_FAULT)
        && let Some(target) = Region::target(at)
    {
        registers[REG_RIP as usize] = target as i64;
        registers[REG_RAX as usize] = vector;
        registers[REG_RCX as usize] = at as i64;
        return;
    }
    let raised = raised && VECTORS.contains(&vector);
    match ESCAPE.get() {
        Some(escape) if raised && escape.code.contains(&at) => {
            let simd = vector == SIMD;
            let target = if simd {
                escape.simd_target
            } else {
                escape.target
            };
            registers[REG_RIP as usize] = target as i64;
            registers[REG_RAX as usize] = vector;
        }
        _ => pass_on(signal, info, context),
    }
}

/// Does what would have been done without this module.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let index = SIGNALS.iter().position(|&one| one == signal);
    let Some(previous) = index.and_then(|index| PREVIOUS[index].get()) else {
        return;
    };
    match previous.sa_sigaction {
        // An exception happens again when this handler returns, and then has its default effect; a signal that
        // was sent is sent again.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the structures came from the kernel.
            unsafe {
                libc::sigaction(signal, previous, std::ptr::null_mut());
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: an address that sigaction returned for a handler of this type.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: as above.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

#[cfg(test)]
mod tests;
