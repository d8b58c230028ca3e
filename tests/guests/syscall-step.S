# SYSCALL and SYSRET look at TF when they are done: with TF in the mask the kernel is not stepped, without, the trap comes
# at its entry; SYSRET that sets TF traps at once, so that a debugger sees the instruction behind SYSCALL.
# differs: bochs: both look at TF before
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    SYSCALL_ON entry, EFLAGS_TF
    EXPECT64 1f
    mov rcx, offset user
    mov r11d, 2+EFLAGS_TF
    mov esp, USER_STACK
    sysretq
1:  TRAPPED64 1, 0, user
    EQ64 [TRAP_CS], UCODE64
    # A program that sets TF itself, right before SYSCALL
    EXPECT64 1f
    mov rcx, offset user_flags
    mov r11d, 2
    mov esp, USER_STACK
    sysretq
1:  FAIL64                          # no trap may lead here
entry:
    mov esp, BOOT_STACK
    mov qword ptr [TRAP_RESUME], 0
    pushfq
    pop rax
    and eax, EFLAGS_TF
    EQ64 rax, 0
    and r11d, EFLAGS_TF
    EQ64 r11, EFLAGS_TF
    # Without TF in the mask
    SYSCALL_ON entry2, 0
    EXPECT64 1f
    mov rcx, offset user_flags
    mov r11d, 2
    mov esp, USER_STACK
    sysretq
1:  TRAPPED64 1, 0, entry2
    EQ64 [TRAP_CS], KCODE64
    PASS64
entry2:
    FAIL64
.section .user, "ax"
user:
    nop
user_flags:
    push 2+EFLAGS_TF
    popfq
    syscall
