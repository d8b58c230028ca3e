# Far CALL, JMP, RET in real mode: the segment becomes base / 16, both operand sizes, and RET n.
# expect: exit=0x10
.include "real.inc"
main:
    push 0x1111
    push 0x2222
    call 0x800:(callee - 0x8000)
    EQ16 ax, 0x800                  # CS there
    EQ16 cx, 0                      # CS on the stack
    EQ16 dx, "offset main+11"
    mov bx, sp
    EQ16 bx, BOOT_STACK             # RETF 4 dropped both words
    # by memory
    mov word ptr [RESULTS], offset callee2 - 0x8010
    mov word ptr [RESULTS+2], 0x801
    call dword ptr [RESULTS]
    EQ16 ax, 0x801
    mov word ptr [RESULTS], offset 1f - 0x8000
    mov word ptr [RESULTS+2], 0x800
    jmp dword ptr [RESULTS]
1:  mov bx, cs
    EQ16 bx, 0x800
    jmp 0:2f
2:  mov bx, cs
    EQ16 bx, 0
    # 32-bit operand size: CS takes four bytes on the stack.
    .byte 0x66, 0x9a
    .long callee3 - 0x8000
    .word 0x800
3:  mov bx, sp
    EQ16 bx, BOOT_STACK
    EQ16 si, BOOT_STACK-8
    PASS16
callee:
    mov bp, sp
    mov ax, cs
    mov dx, [bp]
    mov cx, [bp+2]
    retf 4
callee2:
    mov ax, cs
    retf
callee3:
    mov si, sp
    .byte 0x66
    retf
