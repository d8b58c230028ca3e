# Fifteen bytes are the limit: one more is #GP(0), even with prefixes alone, and the page behind is not looked at.
# differs: qemu: it fetches the sixteenth byte first
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
main:
    .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
    FAULT64 13, 0, .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
    # MOV with all that it can have, and a doubled prefix
    xor ebp, ebp
    .byte 0x64, 0x67, 0x66, 0xc7, 0x85, 0, 6, 0, 0, 0x34, 0x12
    FAULT64 13, 0, .byte 0x64, 0x64, 0x64, 0x64, 0x64, 0x67, 0xc7, 0x84, 0x25, 0, 6, 0, 0, 1, 2
    # Fifteen prefixes at the end of a page
    PTE EDGE, 0
    mov edi, EDGE-15
    mov ecx, 15
    mov al, 0x66
    rep stosb
    mov edi, EDGE-15
    EXPECT64 1f
    jmp rdi
1:  TRAPPED64 13, 0, EDGE-15
    # Fourteen: the fifteenth byte is in the absent page.
    mov edi, EDGE-14
    EXPECT64 1f
    jmp rdi
1:  TRAPPED64 14, 0, EDGE-14
    EQ64 [TRAP_CR2], EDGE
    PASS64
