# Expand-down segments: offsets above the limit are valid, up to 0xffff or with B set to 0xffffffff.
# differs: qemu: it checks no segment limits
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0x100000, 0xfff, 0x96, 0      # 0x1000 to 0xffff
    DESCRIPTOR 1, 0x100000, 0xfff, 0x96, 4      # 0x1000 to 0xffffffff
    DESCRIPTOR 2, 0x100000, 1, 0x96, 12         # 0x2000 to 0xffffffff
    mov eax, FREE0
    mov fs, eax
    mov dword ptr fs:[0x1000], 0x1234
    EQ32 [0x101000], 0x1234
    FAULT32 13, 0, mov al, fs:[0xfff]
    FAULT32 13, 0, mov ax, fs:[0xfff]
    FAULT32 13, 0, mov al, fs:[0]
    mov al, fs:[0xffff]
    mov ax, fs:[0xfffe]
    FAULT32 13, 0, mov ax, fs:[0xffff]
    FAULT32 13, 0, mov al, fs:[0x10000]
    mov eax, FREE1
    mov fs, eax
    mov al, fs:[0x1000]
    mov al, fs:[0x10000]
    FAULT32 13, 0, mov al, fs:[0xfff]
    mov eax, FREE2
    mov fs, eax
    mov al, fs:[0x2000]
    FAULT32 13, 0, mov al, fs:[0x1fff]
    PASS32
