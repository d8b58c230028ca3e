# Code that lies across two pages, changed in either one; a loop that runs over the boundary; and a store that crosses
# it.
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
main:
    # MOV EAX, imm32; RET with two bytes in the first page
    mov ebx, EDGE-2
    mov byte ptr [rbx], 0xb8
    mov dword ptr [rbx+1], 0x11111111
    mov byte ptr [rbx+5], 0xc3
    call rbx
    EQ64 rax, 0x11111111
    mov byte ptr [EDGE+1], 0x22     # in the second page
    call rbx
    EQ64 rax, 0x11221111
    mov byte ptr [EDGE-1], 0x33     # in the first
    call rbx
    EQ64 rax, 0x11221133
    mov dword ptr [EDGE-1], 0x44556677  # in both
    call rbx
    EQ64 rax, 0x44556677
    mov ecx, 100
1:  mov [EDGE+2], cl
    call rbx
    shr eax, 24
    EQ64 rax, rcx
    dec ecx
    jnz 1b
    # A block that begins in the first page and runs far into the second: change its end.
    mov edi, EDGE-0x40
    mov ecx, 0x80
    mov al, 0x90
    rep stosb
    mov dword ptr [EDGE+0x40], 0xc3c0ff # INC EAX; RET
    mov esi, EDGE-0x40
    xor eax, eax
    call rsi
    EQ64 rax, 1
    mov byte ptr [EDGE+0x41], 0xc8  # DEC EAX
    call rsi
    EQ64 rax, 0
    mov word ptr [EDGE+0x20], 0xc0ff
    call rsi
    EQ64 rax, 0
    mov byte ptr [EDGE+0x22], 0xc3  # RET
    call rsi
    EQ64 rax, 1
    PASS64
