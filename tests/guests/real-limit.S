# A word or doubleword that reaches over the segment's end at 0xffff: #GP, on the stack #SS. Nothing is written.
# differs: qemu: it checks no segment limits in real mode
# expect: exit=0x10
.include "real.inc"
main:
    mov bx, 0xffff
    mov cx, 0x1000                  # another segment, so that the IVT and this code are out of reach
    mov ds, cx
    mov es, cx
    mov dword ptr [0xfffc], 0x11223344
    FAULT16 13, mov ax, [bx]
    FAULT16 13, mov [bx], ax
    FAULT16 13, mov eax, [bx-2]
    FAULT16 13, mov dword ptr [bx-2], 0
    FAULT16 13, mov ax, es:[bx]
    mov al, [bx]
    EQ16 [0xfffe], 0x1122
    EQ16 [0xfffc], 0x3344
    mov bp, 0xffff
    FAULT16 12, mov ax, [bp]
    FAULT16 12, mov [bp-1], eax
    # A 32-bit offset beyond the limit
    mov ebx, 0x10000
    FAULT16 13, mov al, [ebx]
    PASS16
