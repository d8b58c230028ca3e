# PUSH with SP = 1 in real mode: #SS, whose frame does not fit either: shutdown.
# differs: qemu: it checks no segment limits
# expect: shutdown
.include "real.inc"
main:
    mov sp, 1
    push ax
    FAIL16
