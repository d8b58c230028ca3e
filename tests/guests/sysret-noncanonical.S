# SYSRET to a non-canonical address: #GP(0) at CPL 0, with the user's RSP already in place (Intel).
# differs: qemu: it faults at CPL 3
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    SYSCALL_ON main
    mov rcx, 0x800000000000
    mov r11d, 2
    FAULT64 13, 0, sysretq
    EQ64 [TRAP_CS], KCODE64
    EQ64 [TRAP_SS], KDATA
    # The MSRs themselves take canonical addresses alone.
    mov ecx, MSR_LSTAR
    mov eax, 0
    mov edx, 0x8000
    FAULT64 13, 0, wrmsr
    mov ecx, MSR_CSTAR
    FAULT64 13, 0, wrmsr
    mov ecx, MSR_FS_BASE
    FAULT64 13, 0, wrmsr
    mov ecx, MSR_KERNEL_GS_BASE
    FAULT64 13, 0, wrmsr
    mov ecx, MSR_SYSENTER_EIP
    FAULT64 13, 0, wrmsr
    PASS64
