# PCI configuration by ports: a host bridge at 0:0.0, ones where no device is, byte and word access to the data port, the
# address register that reads back, and the enable bit.
# expect: exit=0x10
.include "long.inc"
.macro ADDRESS value
    mov dx, 0xcf8
    mov eax, \value
    out dx, eax
.endm
main:
    ADDRESS 0x80000000
    in eax, dx
    mov ecx, 0x80000000
    EQ64 rax, rcx
    mov dx, 0xcfc
    in eax, dx
    mov ebx, eax
    cmp ax, 0xffff
    je bad
    test ax, ax
    jz bad
    mov dx, 0xcfe
    in ax, dx
    shr ebx, 16
    cmp ax, bx
    jne bad
    mov dx, 0xcff
    in al, dx
    cmp al, bh
    jne bad
    ADDRESS 0x80000008
    mov dx, 0xcfc
    in eax, dx
    shr eax, 16
    EQ64 rax, 0x0600                # a host bridge
    ADDRESS 0x8000f800+0x700        # 0:31.7
    mov dx, 0xcfc
    in eax, dx
    mov ecx, 0xffffffff
    EQ64 rax, rcx
    ADDRESS 0x80ff0000              # bus 255
    mov dx, 0xcfc
    in eax, dx
    EQ64 rax, rcx
    ADDRESS 0                       # not enabled
    mov dx, 0xcfc
    in eax, dx
    EQ64 rax, rcx
    PASS64
bad:
    FAIL64
