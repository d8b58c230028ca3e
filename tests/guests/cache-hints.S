# Cache instructions: CLFLUSH and CLFLUSHOPT fault like a read of a byte, PREFETCH never, WBINVD and INVD only for lack
# of privilege.
# differs: qemu: CLFLUSH does not look at its operand
# expect: exit=0x10
.include "long.inc"
main:
    clflush [DATA]
    clflushopt [DATA+63]
    PTE DATA, 0
    FAULT64 14, 0, clflush [DATA+5]
    EQ64 [TRAP_CR2], DATA+5
    FAULT64 14, 0, clflushopt [DATA]
    mov rbx, 0x800000000000
    FAULT64 13, 0, clflush [rbx]
    .irp insn, prefetcht0, prefetcht1, prefetcht2, prefetchnta, prefetchw
    \insn [DATA]
    \insn [rbx]
    \insn [DATA+0x1000]
    .endr
    nop dword ptr [rbx]             # NOP does not look at its operand
    .byte 0x0f, 0x18, 0x23          # a reserved hint
    PTE DATA, DATA+P_               # read-only is enough
    mov rax, cr0
    bts rax, 16
    mov cr0, rax
    clflush [DATA]
    wbinvd
    EQ64 [TRAP_COUNT], 3
    PASS64
