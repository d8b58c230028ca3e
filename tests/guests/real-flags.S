# PUSHF and POPF in real mode change IF and IOPL at will; POPFD leaves VM and RF as they are; bit 1 is one and
# bits 3, 5 and 15 are zero.
# expect: exit=0x10
.include "real.inc"
main:
    push -1 & ~0x100                # all but TF
    popf
    pushf
    cli
    cld
    pop ax
    EQ16 ax, 0x7ed7
    push 0
    popf
    pushf
    pop ax
    EQ16 ax, 2
    mov eax, 0x3f0000               # RF VM AC VIF VIP ID
    push eax
    popfd
    pushfd
    pop ebx
    shr ebx, 16
    EQ16 bx, 0x24                   # AC and ID alone
    mov al, 0xff
    mov ah, 0xff
    sahf
    lahf
    shr ax, 8
    EQ16 ax, 0xd7
    PASS16
