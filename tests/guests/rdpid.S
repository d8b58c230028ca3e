# RDPID gives TSC_AUX, at every privilege, whatever CR4.TSD says; the MSR's upper half is reserved.
# differs: qemu: its software CPU has no RDPID
# differs: bochs: the upper half of TSC_AUX is ignored
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    MSR MSR_TSC_AUX, 0xf1234567
    mov rdi, -1
    rdpid rdi
    mov eax, 0xf1234567
    EQ64 rdi, rax
    mov rax, cr4
    bts rax, 2                      # TSD
    mov cr4, rax
    USER64 user
    TRAPPED64 0x80, 0, user_end
    EQ64 rsi, rdi
    mov ecx, MSR_TSC_AUX
    mov edx, 1
    FAULT64 13, 0, wrmsr
    PASS64
.section .user, "ax"
user:
    rdpid rsi
    int 0x80
user_end:
    nop
