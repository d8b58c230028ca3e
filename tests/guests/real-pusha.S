# PUSHA, POPA, PUSHAD, POPAD: the order, the SP that is pushed, and the SP that POPA skips.
# expect: exit=0x10
.include "real.inc"
main:
    mov eax, 0x11110001
    mov ecx, 0x22220002
    mov edx, 0x33330003
    mov ebx, 0x44440004
    mov ebp, 0x66660006
    mov esi, 0x77770007
    mov edi, 0x88880008
    pushaw
    mov bp, sp
    mov dx, bp
    EQ16 [bp], 8
    EQ16 [bp+2], 7
    EQ16 [bp+4], 6
    EQ16 [bp+6], BOOT_STACK
    EQ16 [bp+8], 4
    EQ16 [bp+10], 3
    EQ16 [bp+12], 2
    EQ16 [bp+14], 1
    EQ16 dx, BOOT_STACK-16
    mov word ptr [bp+6], 0x999      # ignored
    mov word ptr [bp], 0xd1
    popaw
    EQ16 di, 0xd1
    EQ16 dx, 3
    EQ16 bp, 6
    mov bx, sp
    EQ16 bx, BOOT_STACK
    mov ebx, 0x44440004
    pushad
    mov bp, sp
    EQ16 bp, BOOT_STACK-32
    EQ16 [bp+2], 0x8888
    EQ16 [bp+12], BOOT_STACK
    EQ16 [bp+14], 0
    EQ16 [bp+18], 0x4444
    EQ16 [bp+30], 0x1111
    mov word ptr [bp+30], 0xabcd
    popad
    shr eax, 16
    EQ16 ax, 0xabcd
    PASS16
