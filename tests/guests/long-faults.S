# Faults in 64-bit mode: vector, error code, saved RIP, and a frame of five quadwords on a 16-byte boundary.
# expect: exit=0x10
.include "long.inc"
main:
    FAULT64 6, 0, ud2
    EQ64 [TRAP_CS], KCODE64
    EQ64 [TRAP_SS], KDATA
    EQ64 [TRAP_SP], BOOT_STACK
    EQ64 [TRAP_FRAME], BOOT_STACK-40
    xor ecx, ecx
    FAULT64 0, 0, div rcx
    mov edx, 1
    mov ecx, 1
    FAULT64 0, 0, div rcx
    # The stack is aligned before the frame is pushed; the saved RSP is the old one.
    sub rsp, 3
    FAULT64 6, 0, ud2
    EQ64 [TRAP_SP], BOOT_STACK-3
    EQ64 [TRAP_FRAME], BOOT_STACK-16-40
    mov rsp, BOOT_STACK
    # Traps save the address behind.
    EXPECT64 1f
    int3
behind_int3:
    FAIL64
1:  TRAPPED64 3, 0, behind_int3
    EXPECT64 1f
    .byte 0xcd, 3                   # INT 3 in two bytes
behind_int:
    FAIL64
1:  TRAPPED64 3, 0, behind_int
    PASS64
