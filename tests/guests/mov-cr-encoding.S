# MOV to and from control and debug registers takes its ModRM byte for registers whatever its mode bits say, and 64 bits
# whatever the prefixes.
# differs: qemu: LOCK leads to CR8, as on AMD
# expect: exit=0x10
.include "long.inc"
main:
    mov rbx, cr0
    xor eax, eax
    .byte 0x0f, 0x20, 0x00          # MOV RAX, CR0 with mode 0
    EQ64 rax, rbx
    xor eax, eax
    .byte 0x0f, 0x20, 0x40          # mode 1, without displacement
    EQ64 rax, rbx
    mov rbx, cr3
    .byte 0x66, 0x0f, 0x20, 0x98    # MOV RAX, CR3 with mode 2 and a prefix
    EQ64 rax, rbx
    mov rbx, 0x123456789
    .byte 0x0f, 0x23, 0x03          # MOV DR0, RBX with mode 0
    mov rcx, dr0
    EQ64 rcx, rbx
    .byte 0x66, 0x0f, 0x21, 0x42    # MOV RDX, DR0 with mode 1
    EQ64 rdx, rbx
    mov rbx, 0x1122334455667788
    .byte 0x48, 0x0f, 0x22, 0xd3    # MOV CR2, RBX: a REX changes nothing
    mov rcx, cr2
    EQ64 rcx, rbx                   # any value, canonical or not
    # LOCK is no way to CR8 here.
    FAULT64 6, 0, .byte 0xf0, 0x0f, 0x20, 0xc0
    PASS64
