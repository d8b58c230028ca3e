# Self-modifying code in real mode, by way of another segment, and in the prefetched bytes behind a store.
# expect: exit=0x10
.include "real.inc"
main:
    push 0x800
    pop es
    mov byte ptr es:[1f+1-0x8000], 0x55
1:  mov al, 0
    xor ah, ah
    EQ16 ax, 0x55
    mov cx, 5
    xor bx, bx
2:  mov cs:[3f+2], cl
3:  add bx, 0x11
    loop 2b
    EQ16 bx, 15
    mov word ptr es:[4f-0x8000], 0x9090
4:  ud2
    PASS16
