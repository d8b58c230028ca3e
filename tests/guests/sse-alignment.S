# SSE operands of 16 bytes must be aligned: #GP(0), also on the stack; the unaligned forms and AVX's do not care.
# expect: exit=0x10
.include "long.inc"
main:
    mov rax, cr4
    or eax, 0x600
    mov cr4, rax
    FAULT64 13, 0, movaps xmm0, [DATA+8]
    FAULT64 13, 0, movaps [DATA+1], xmm0
    FAULT64 13, 0, movdqa xmm0, [DATA+4]
    FAULT64 13, 0, addps xmm0, [DATA+4]
    FAULT64 13, 0, pxor xmm0, [DATA+15]
    FAULT64 13, 0, movntps [DATA+8], xmm0
    mov ebp, DATA+8
    FAULT64 13, 0, movaps xmm0, [rbp]           # #GP, not #SS
    movups xmm0, [DATA+8]
    movdqu [DATA+1], xmm0
    lddqu xmm0, [DATA+1]
    addss xmm0, [DATA+1]
    movhps xmm0, [DATA+1]
    pcmpistri xmm0, [DATA+1], 0
    movaps xmm0, [DATA+16]
    # Alignment before the page fault
    PTE DATA+0x1000, 0
    FAULT64 13, 0, movaps xmm0, [DATA+0x1008]
    FAULT64 14, 0, movaps xmm0, [DATA+0x1010]
    # CMPXCHG16B and FXSAVE
    FAULT64 13, 0, cmpxchg16b [DATA+8]
    FAULT64 13, 0, lock cmpxchg16b [DATA+8]
    FAULT64 13, 0, fxsave [DATA+8]
    FAULT64 13, 0, fxrstor [DATA+8]
    cmpxchg8b [DATA+1]
    PASS64
