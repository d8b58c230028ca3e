# FNSTENV, FNSAVE and their loads in the formats of real mode and of 16- and 32-bit protected mode: lengths, control,
# status and tag words.
# expect: exit=0x10
.include "real.inc"
main:
    fninit
    fld1
    fldpi
    mov di, RESULTS
    mov cx, 128
    mov ax, 0x5555
    cld
    rep stosw
    fnstenv [RESULTS]               # 14 bytes
    EQ16 [RESULTS], 0x37f
    EQ16 [RESULTS+2], 0x3000
    EQ16 [RESULTS+4], 0x0fff
    EQ16 [RESULTS+14], 0x5555
    fninit
    fldenv [RESULTS]
    fnstsw ax
    EQ16 ax, 0x3000
    .byte 0x66
    fnstenv [RESULTS+32]            # 28 bytes
    EQ16 [RESULTS+32], 0x37f
    EQ16 [RESULTS+36], 0x3000
    EQ16 [RESULTS+40], 0x0fff
    EQ16 [RESULTS+60], 0x5555
    fninit
    fldpi
    fnsave [RESULTS]                # 94 bytes, and initializes
    EQ16 [RESULTS+2], 0x3800
    EQ16 [RESULTS+14+8], 0x4000     # sign and exponent of pi
    EQ16 [RESULTS+14+6], 0xc90f
    EQ16 [RESULTS+94], 0x5555
    fnstsw ax
    EQ16 ax, 0
    frstor [RESULTS]
    fstp tbyte ptr [RESULTS+0x100]
    EQ16 [RESULTS+0x100+8], 0x4000
    .byte 0x66
    fnsave [RESULTS]                # 108 bytes
    EQ16 [RESULTS+108], 0x5555
    PASS16
