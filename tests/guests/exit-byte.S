# The debug-exit port takes a byte: the upper parts of EAX do not count.
# expect: exit=0x10
.include "long.inc"
main:
    mov eax, 0x12345610
    out 0xf4, al
    PASS64
