# Exceptions other than page faults in the middle of hot blocks, at CPL 0: #DE, #XM, #MF, #UD, #BP, #SS, #GP. The frame
# and all registers are exact each time.
# differs: qemu: raises no SIMD floating-point exceptions
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
.include "hot.inc"
main:
    HOT_INIT
    mov rax, cr0
    or eax, 0x40022                 # AM, NE, MP
    mov cr0, rax
    .include "hot-skip.inc"
    PASS64
