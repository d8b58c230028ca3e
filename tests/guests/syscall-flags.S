# SYSRET: RF and VM are never loaded from R11, everything else is; SYSCALL with a mask of all ones leaves bit 1 alone.
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    SYSCALL_ON entry, 0xffffffff
    mov rcx, offset user
    mov r11, -1 & ~0x100            # no single-step
    mov esp, USER_STACK
    sysretq
entry:
    pushfq
    pop rax
    mov esp, BOOT_STACK
    EQ64 rax, 2                     # everything was masked
    mov eax, 0x200000+0x40000+0x7ed7        # ID, AC, NT, IOPL 3 and the rest, without RF, VM, VIF, VIP
    and edx, ~0x180000
    EQ64 rdx, rax
    PASS64
.section .user, "ax"
user:
    pushfq
    pop rdx
    syscall
