# Far transfers through memory: the pointer crosses into an absent page, the stack of a far call is absent, and nothing
# has changed.
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
main:
    mov qword ptr [TSS+0x24], IST_STACK
    GATE64 14, vectors64+14*8, 0x8e, 1
    PTE EDGE, 0
    mov dword ptr [EDGE-4], offset main
    FAULT64 14, 0, jmp fword ptr [EDGE-4]
    EQ64 [TRAP_CR2], EDGE
    FAULT64 14, 0, call fword ptr [EDGE-5]
    EQ64 [TRAP_CR2], EDGE
    EQ64 [TRAP_SP], BOOT_STACK
    mov ebx, 0x77
    FAULT64 14, 0, lfs ebx, [EDGE-4]
    EQ64 rbx, 0x77
    # The stack
    mov dword ptr [RESULTS], offset main
    mov word ptr [RESULTS+4], KCODE64
    EXPECT64 1f
    mov esp, EDGE+8
8:  call fword ptr [RESULTS]
    FAIL64
1:  TRAPPED64 14, 2, 8b
    EQ64 [TRAP_SP], EDGE+8
    EQ64 [TRAP_CR2], EDGE+4         # the far call pushes doublewords: CS first
    PASS64
