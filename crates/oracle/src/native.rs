//! Executes cases on the host's processor, in a child process.
//!
//! The child lives in its signal handler: each case is put into the frame that the handler returns through, the
//! kernel loads it, the instruction runs, and the INT3 behind it (or its own fault) brings the child back into
//! the handler with everything that changed in the next frame. One signal per case, and no assembly.
#![allow(unsafe_code, reason = "fork, signal frames and shared memory")]

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use host::mapping::Protection;
use host::{Mapping, MemFile};
use x86::state::XSAVE_SIZE;

use crate::bytes;
use crate::case::{Bits, Case, Outcome, Registers};
use crate::layout::{CODE, CODE_LEN, DATA, DATA_LEN, PAGE, READ_ONLY, STOP};

/// Most cases in one batch.
pub const BATCH: usize = 128;

/// How long a batch may take.
const PATIENCE: Duration = Duration::from_secs(10);

const IDLE: u32 = 0;
const GO: u32 = 1;

/// What parent and child share.
#[repr(C)]
struct Shared {
    state: AtomicU32,
    count: u32,
    next: u32,
    /// A case is in the processor.
    running: u32,
    cases: [Case; BATCH],
    outcomes: [Outcome; BATCH],
    patterns: [[u8; DATA_LEN]; bytes::PATTERNS as usize],
}

/// Why the host's processor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host refused memory or a process.
    #[error("could not start a process to execute instructions in")]
    Start(#[source] io::Error),
    /// The child died or hung.
    #[error(
        "the process that executes instructions ended at case {case} of its batch (status {status:#x})"
    )]
    Died {
        /// Index within the batch.
        case: usize,
        /// As from waitpid.
        status: i32,
    },
}

/// A child process that executes cases.
pub struct Native {
    shared: Mapping,
    pid: libc::pid_t,
}

/// The child's view of the shared memory and its alias of the code pages.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());
static CODE_ALIAS: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

impl Native {
    /// Starts the child.
    pub fn new() -> Result<Self, Error> {
        let len = size_of::<Shared>().next_multiple_of(PAGE);
        let pages = MemFile::new("oracle-pages", (CODE_LEN + DATA_LEN + PAGE) as u64)
            .map_err(Error::Start)?;
        let file = MemFile::new("oracle", len as u64).map_err(Error::Start)?;
        let shared = Mapping::shared(&file, 0, len, Protection::ReadWrite).map_err(Error::Start)?;
        let alias =
            Mapping::shared(&pages, 0, CODE_LEN, Protection::ReadWrite).map_err(Error::Start)?;
        let stack = Mapping::anonymous(64 * PAGE).map_err(Error::Start)?;
        let view = shared.start().as_ptr().cast::<Shared>();
        // SAFETY: the mapping is ours, zeroed, large enough and page aligned; nobody else uses it yet.
        unsafe {
            ptr::write_bytes(alias.start().as_ptr(), STOP, CODE_LEN);
            for seed in 0..bytes::PATTERNS {
                (*view).patterns[seed as usize] = *bytes::data(seed);
            }
        }
        // SAFETY: the child only makes system calls and touches what is mapped already.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(Error::Start(io::Error::last_os_error())),
            // SAFETY: as above; this never returns.
            0 => unsafe { child(view, &alias, &stack, pages.fd().as_raw_fd()) },
            pid => Ok(Self { shared, pid }),
        }
    }

    /// Executes at most [`BATCH`] cases.
    pub fn run(&mut self, cases: &[Case]) -> Result<Vec<Outcome>, Error> {
        assert!(cases.len() <= BATCH, "a batch has at most {BATCH} cases");
        let view = self.shared.start().as_ptr().cast::<Shared>();
        // SAFETY: the child is waiting and touches nothing until the state says go.
        unsafe {
            let slots = &mut (*view).cases;
            for (slot, case) in slots.iter_mut().zip(cases) {
                *slot = case.clone();
            }
            (*view).count = cases.len() as u32;
            (*view).next = 0;
            (*view).running = 0;
            let state = &(*view).state;
            state.store(GO, Ordering::Release);
            let start = Instant::now();
            futex(state, libc::FUTEX_WAKE, i32::MAX as u32, ptr::null());
            while state.load(Ordering::Acquire) == GO {
                let patience = libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 200_000_000,
                };
                futex(state, libc::FUTEX_WAIT, GO, &raw const patience);
                if start.elapsed() > PATIENCE {
                    libc::kill(self.pid, libc::SIGKILL);
                }
                let mut status = 0;
                if libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) == self.pid {
                    self.pid = -1;
                    return Err(Error::Died {
                        case: ((*view).next as usize).saturating_sub(1),
                        status,
                    });
                }
            }
            let outcomes = &(*view).outcomes;
            Ok(outcomes[..cases.len()].to_vec())
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        if self.pid > 0 {
            // SAFETY: our own child, not yet waited for.
            unsafe {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, ptr::null_mut(), 0);
            }
        }
    }
}

unsafe fn futex(word: &AtomicU32, operation: i32, value: u32, timeout: *const libc::timespec) {
    // SAFETY: the word outlives the call; the timeout is null or valid.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            operation,
            value,
            timeout,
            0,
            0,
        )
    };
}

/// The child's main: maps the pages where cases expect them and enters the handler for good.
unsafe fn child(shared: *mut Shared, alias: &Mapping, stack: &Mapping, pages: i32) -> ! {
    // SAFETY: async-signal-safe calls only; the fixed addresses are far from everything that is mapped.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        SHARED.store(shared, Ordering::Relaxed);
        CODE_ALIAS.store(alias.start().as_ptr(), Ordering::Relaxed);
        let map = |at: u64, len: usize, protection: i32, offset: usize| {
            let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE | libc::MAP_POPULATE;
            let got = libc::mmap(at as *mut _, len, protection, flags, pages, offset as i64);
            if got as u64 != at {
                libc::_exit(3);
            }
        };
        map(CODE, CODE_LEN, libc::PROT_READ | libc::PROT_EXEC, 0);
        map(DATA, DATA_LEN, libc::PROT_READ | libc::PROT_WRITE, CODE_LEN);
        map(READ_ONLY, PAGE, libc::PROT_READ, CODE_LEN + DATA_LEN);
        let alternate = libc::stack_t {
            ss_sp: stack.start().as_ptr().cast(),
            ss_flags: 0,
            ss_size: stack.len(),
        };
        libc::sigaltstack(&raw const alternate, ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [
            libc::SIGTRAP,
            libc::SIGSEGV,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGBUS,
        ] {
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
        // 32-bit code needs data segments; 64-bit processes start with null selectors.
        std::arch::asm!("mov ds, {0:x}", "mov es, {0:x}", in(reg) 0x2b_u32, options(nostack));
        libc::raise(libc::SIGTRAP);
        libc::_exit(4)
    }
}

const ORDER: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid frame; shared memory is ours while the state says go.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        let shared = &mut *SHARED.load(Ordering::Relaxed);
        if shared.running != 0 {
            let index = shared.next as usize - 1;
            collect(context, &shared.cases[index], &mut shared.outcomes[index]);
            shared.running = 0;
        }
        if shared.next == shared.count {
            shared.state.store(IDLE, Ordering::Release);
            futex(&shared.state, libc::FUTEX_WAKE, 1, ptr::null());
            while shared.state.load(Ordering::Acquire) == IDLE {
                futex(&shared.state, libc::FUTEX_WAIT, IDLE, ptr::null());
            }
        }
        let case = &shared.cases[shared.next as usize];
        shared.next += 1;
        shared.running = 1;
        let pattern = &shared.patterns[(case.data_seed % bytes::PATTERNS) as usize];
        ptr::copy_nonoverlapping(pattern.as_ptr(), DATA as *mut u8, DATA_LEN);
        prepare(context, case);
    }
}

/// Bytes of the frame's XSAVE area that matter: legacy, header, AVX.
unsafe fn frame_xsave(context: &mut libc::ucontext_t) -> *mut u8 {
    context.uc_mcontext.fpregs.cast()
}

unsafe fn code_at(rip: u64) -> *mut u8 {
    // SAFETY: cases lie within the code pages.
    unsafe {
        CODE_ALIAS
            .load(Ordering::Relaxed)
            .add((rip - CODE) as usize)
    }
}

unsafe fn prepare(context: &mut libc::ucontext_t, case: &Case) {
    let registers = &case.registers;
    // SAFETY: the frame's XSAVE area is at least as large as ours: AVX is checked for when fuzzing starts.
    unsafe {
        ptr::copy_nonoverlapping(
            case.code.as_ptr(),
            code_at(registers.rip),
            usize::from(case.len),
        );
        let xsave = frame_xsave(context);
        // Bytes 464 to 511 belong to the kernel; XSTATE_BV keeps what the frame has beyond AVX.
        ptr::copy_nonoverlapping(registers.xsave.as_ptr(), xsave, 416);
        let header = xsave.add(512).cast::<u64>();
        header.write_unaligned(header.read_unaligned() | 7);
        ptr::copy_nonoverlapping(registers.xsave.as_ptr().add(576), xsave.add(576), 256);
    }
    let gregs = &mut context.uc_mcontext.gregs;
    for (value, &slot) in registers.gpr.iter().zip(&ORDER) {
        gregs[slot as usize] = *value as i64;
    }
    gregs[libc::REG_RIP as usize] = registers.rip as i64;
    gregs[libc::REG_EFL as usize] = registers.rflags as i64;
    let selector = if case.bits == Bits::B64 { 0x33 } else { 0x23 };
    let selectors = &mut gregs[libc::REG_CSGSFS as usize];
    *selectors = *selectors & !0xffff | selector;
}

unsafe fn collect(context: &mut libc::ucontext_t, case: &Case, outcome: &mut Outcome) {
    // SAFETY: as in `prepare`.
    unsafe {
        ptr::write_bytes(code_at(case.registers.rip), STOP, usize::from(case.len));
        outcome.registers.xsave = [0; XSAVE_SIZE];
        let xsave = frame_xsave(context);
        let present = xsave.add(512).cast::<u64>().read_unaligned();
        ptr::copy_nonoverlapping(xsave, outcome.registers.xsave.as_mut_ptr(), 416);
        if present & 1 == 0 {
            outcome.registers.xsave[..24].fill(0);
            outcome.registers.xsave[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
            outcome.registers.xsave[32..160].fill(0);
        }
        if present & 2 == 0 {
            outcome.registers.xsave[160..416].fill(0);
        }
        if present & 4 != 0 {
            ptr::copy_nonoverlapping(
                xsave.add(576),
                outcome.registers.xsave.as_mut_ptr().add(576),
                256,
            );
        }
        ptr::copy_nonoverlapping(DATA as *const u8, outcome.data.as_mut_ptr(), DATA_LEN);
    }
    let gregs = &context.uc_mcontext.gregs;
    let get = |slot: i32| gregs[slot as usize] as u64;
    for (value, &slot) in outcome.registers.gpr.iter_mut().zip(&ORDER) {
        *value = get(slot);
    }
    outcome.registers.rflags = get(libc::REG_EFL);
    outcome.registers.rip = get(libc::REG_RIP);
    outcome.vector = get(libc::REG_TRAPNO);
    outcome.error = get(libc::REG_ERR);
    outcome.cr2 = if outcome.vector == 14 {
        get(libc::REG_CR2)
    } else {
        0
    };
    settle(case, outcome);
}

/// Tells the end of the case (the INT3 behind it, or a branch to where nothing is mapped) from its own faults.
pub(crate) fn settle(case: &Case, outcome: &mut Outcome) {
    let registers = &mut outcome.registers;
    let fetched_nothing =
        outcome.vector == 14 && registers.rip != case.registers.rip && outcome.error & 16 != 0;
    if outcome.vector == 3 {
        registers.rip = registers.rip.wrapping_sub(1);
    } else if !fetched_nothing {
        return;
    }
    outcome.complete();
}

impl Registers {
    /// All zero but for what must not be.
    pub fn new() -> Self {
        Self {
            gpr: [0; 16],
            rip: CODE,
            rflags: 0x202,
            xsave: [0; XSAVE_SIZE],
        }
    }
}

impl Default for Registers {
    fn default() -> Self {
        Self::new()
    }
}
