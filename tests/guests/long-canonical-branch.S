# A branch to a non-canonical address faults at the branch itself, and has done nothing: no push, no change of RSP.
# differs: qemu: it takes the branch and faults at the target
# expect: exit=0x10
.include "long.inc"
main:
    mov rbx, 0x800000000000
    mov [RESULTS], rbx
    FAULT64 13, 0, jmp rbx
    FAULT64 13, 0, jmp [RESULTS]
    FAULT64 13, 0, call rbx
    EQ64 [TRAP_SP], BOOT_STACK
    FAULT64 13, 0, call [RESULTS]
    push rbx
    FAULT64 13, 0, ret
    EQ64 [TRAP_SP], BOOT_STACK-8
    FAULT64 13, 0, ret 16
    EQ64 [TRAP_SP], BOOT_STACK-8
    PASS64
