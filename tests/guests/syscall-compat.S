# SYSRET to compatibility mode, and SYSCALL there: #UD on Intel's CPUs.
# differs: qemu: its CPU is AMD's, where SYSCALL enters at CSTAR
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    SYSCALL_ON entry
    EXPECT64 1f
    mov rcx, offset user
    bts rcx, 40                     # only ECX counts
    mov r11d, 2
    mov esp, USER_STACK
    mov rbx, -1
    sysretd
1:  TRAPPED64 6, 0, user_syscall
    EQ64 [TRAP_CS], UCODE32
    EQ64 rax, 0x77
    PASS64
entry:
    FAIL64
.section .user, "ax"
.code32
user:
    mov eax, 0x76
    inc eax
user_syscall:
    syscall
.code64
