# A triple fault in real mode: an IDT limit of zero.
# expect: shutdown
.include "real.inc"
main:
    lidt [none]
    int 0x10
    FAIL16
none:
    .word 0
    .long 0
