# Hot 32-bit code that is changed: immediates and opcodes ahead in the same block, in another page, across a page's end.
# expect: exit=0x10
.include "prot.inc"
.include "smc-hot.inc"
main:
    SMC_HOT 32, eax, ebx, ecx, edx, esi, edi, DATA
    EQ32 [TRAP_COUNT], 0
    PASS32
