#![allow(unsafe_code, reason = "raises exceptions on purpose")]

use std::arch::asm;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Escape, escape};
use libc::{REG_RIP, c_int, c_void, siginfo_t, ucontext_t};

static FOREIGN: AtomicUsize = AtomicUsize::new(0);

/// Counts, and goes on behind the two bytes of `div ecx`.
extern "C" fn count_and_skip(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    FOREIGN.fetch_add(1, Ordering::SeqCst);
    // SAFETY: a context from the kernel.
    unsafe { (*context.cast::<ucontext_t>()).uc_mcontext.gregs[REG_RIP as usize] += 2 };
}

/// Divides by zero, always at the same address; returns what is in RAX afterwards, and whether the escape was taken.
#[inline(never)]
fn divide(code: &mut Option<Escape>) -> (u64, bool) {
    let (start, end, target, simd_target): (usize, usize, usize, usize);
    let (rax, escaped): (u64, u64);
    // SAFETY: the addresses are those of labels; nothing is executed.
    unsafe {
        asm!(
            "lea {start}, [rip + 2f]", "lea {end}, [rip + 3f]",
            "lea {target}, [rip + 4f]", "lea {simd}, [rip + 5f]",
            "xor r8d, r8d",
            "test {run}, {run}", "jz 5f",
            "mov eax, 100", "xor edx, edx", "xor ecx, ecx",
            "2:", "div ecx", "3:", "jmp 5f",
            "4:", "mov r8d, 1",
            "5:",
            start = out(reg) start, end = out(reg) end,
            target = out(reg) target, simd = out(reg) simd_target,
            run = in(reg) u64::from(code.is_none()),
            lateout("rax") rax, lateout("rcx") _, lateout("rdx") _, lateout("r8") escaped,
        );
    }
    if code.is_some() {
        *code = Some(Escape {
            code: start..end,
            target,
            simd_target,
        });
    }
    (rax, escaped != 0)
}

#[test]
fn exceptions_escape_from_the_code_named_and_from_no_other() {
    // SAFETY: installs a handler of the right type.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count_and_skip as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(
            libc::sigaction(libc::SIGFPE, &action, std::ptr::null_mut()),
            0
        );
    }
    let mut found = Some(Escape {
        code: 0..0,
        target: 0,
        simd_target: 0,
    });
    divide(&mut found);
    let wanted = found.expect("filled in");
    escape(wanted.clone()).expect("the first escape");
    escape(wanted.clone()).expect("the same again");
    let other = Escape {
        target: 0,
        ..wanted
    };
    assert!(escape(other).is_err());
    assert_eq!(divide(&mut None), (0, true));
    assert_eq!(FOREIGN.load(Ordering::SeqCst), 0);
    // A copy of the division outside.
    // SAFETY: the handler skips the division.
    unsafe {
        asm!("div ecx", inout("eax") 100 => _, inout("edx") 0 => _, in("ecx") 0);
    }
    assert_eq!(FOREIGN.load(Ordering::SeqCst), 1);
}
