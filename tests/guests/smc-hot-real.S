# Hot 16-bit code that is changed: immediates and opcodes ahead in the same block, in another page, across a page's end.
# expect: exit=0x10
.include "real.inc"
.include "smc-hot.inc"
main:
    SMC_HOT 16, ax, bx, cx, dx, si, di, 0x2000
    EQ16 [TRAP_COUNT], 0
    PASS16
