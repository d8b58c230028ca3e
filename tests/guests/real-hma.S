# FFFF:0010 is address 0x100000: A20 does not wrap.
# expect: exit=0x10
.include "real.inc"
main:
    mov word ptr [0x600], 0x1234
    mov ax, 0xffff
    mov es, ax
    mov word ptr es:[0x610], 0x5678
    EQ16 [0x600], 0x1234
    EQ16 es:[0x610], 0x5678
    mov bx, 0xfff0
    mov word ptr es:[bx], 0x9abc    # 0x10ffe0
    EQ16 es:[bx], 0x9abc
    PASS16
