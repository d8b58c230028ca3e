# SWAPGS exchanges the GS base with its MSR, at CPL 0 in 64-bit mode alone.
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    MSR MSR_GS_BASE, DATA
    MSR MSR_KERNEL_GS_BASE, 0x55667788, 0x7f11
    mov qword ptr gs:[8], 0x11
    swapgs
    mov ecx, MSR_KERNEL_GS_BASE
    rdmsr
    EQ64 rax, DATA
    EQ64 rdx, 0
    mov ecx, MSR_GS_BASE
    rdmsr
    EQ64 rax, 0x55667788
    EQ64 rdx, 0x7f11
    mov ax, gs
    movzx eax, ax
    EQ64 rax, 0                     # the selector is untouched
    swapgs
    EQ64 gs:[8], 0x11
    USER64 user
    TRAPPED64 13, 0, user
    PASS64
.section .user, "ax"
user:
    swapgs
