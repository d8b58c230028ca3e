# Segment bases: base and offset are added modulo 4 GiB in protected and compatibility mode.
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0xfff00000, 0xfffff, 0x92, 12
    mov eax, FREE0
    mov fs, eax
    mov dword ptr [DATA+0x20], 0x1234
    EQ32 fs:[0x100000+DATA+0x20], 0x1234
    mov dword ptr fs:[0x100000+DATA+0x24], 0x5678
    EQ32 [DATA+0x24], 0x5678
    # An address register that wraps by itself
    mov ebx, 0xffffffff
    EQ32 [ebx+DATA+0x21], 0x1234
    # A code segment with a base
    DESCRIPTOR 1, 0x100000, 0xffff, 0x9a, 4
    mov byte ptr [DATA], 0xb8       # MOV EAX, 0x77; RETF
    mov dword ptr [DATA+1], 0x77
    mov byte ptr [DATA+5], 0xcb
    call FREE1:0
    EQ32 eax, 0x77
    # CALL and RET near within it, with offsets from the base
    mov byte ptr [DATA+0x10], 0xe8  # CALL 0x18
    mov dword ptr [DATA+0x11], 3
    mov byte ptr [DATA+0x15], 0xcb  # RETF
    mov byte ptr [DATA+0x18], 0x58  # POP EAX; PUSH EAX; RET
    mov word ptr [DATA+0x19], 0xc350
    call FREE1:0x10
    EQ32 eax, 0x15
    PASS32
