# A fault that finds no handler, not even for the double fault, shuts the CPU down.
# expect: shutdown
.include "long.inc"
main:
    lidt [none]
    ud2
    FAIL64
.data
none: .word 0
    .quad 0
