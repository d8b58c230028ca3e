# IRET and RETF whose frame lies half on an absent page: #PF, with RSP, CS and the flags as they were; after the page is
# there they work.
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
main:
    mov qword ptr [TSS+0x24], IST_STACK
    GATE64 14, vectors64+14*8, 0x8e, 1
    # An IRET frame of five quadwords, of which n lie before the edge
    .set n, 1
    .rept 4
    PTE EDGE, EDGE+P_+RW
    mov rsp, EDGE+40-8*n
    push KDATA
    push BOOT_STACK
    push 0x246
    push KCODE64
    push offset 7f
    PTE EDGE, 0
    EXPECT64 1f
8:  iretq
1:  TRAPPED64 14, 0, 8b
    mov rax, [TRAP_CR2]             # which quadword is read first is the CPU's affair
    and rax, -4096
    EQ64 rax, EDGE
    EQ64 [TRAP_SP], EDGE-8*n
    EQ64 [TRAP_CS], KCODE64
    PTE EDGE, EDGE+P_+RW
    mov rsp, EDGE-8*n
    iretq
7:  mov rax, rsp
    EQ64 rax, BOOT_STACK
    .set n, n + 1
    .endr
    # RETF
    mov rsp, EDGE+8
    push KCODE64
    push offset 7f
    PTE EDGE, 0
    EXPECT64 1f
8:  retfq
1:  TRAPPED64 14, 0, 8b
    EQ64 [TRAP_SP], EDGE-8
    PTE EDGE, EDGE+P_+RW
    mov rsp, EDGE-8
    retfq
7:  mov rax, rsp
    EQ64 rax, EDGE+8
    mov rsp, BOOT_STACK
    PASS64
