# DR6 and DR7: fixed bits, upper halves that refuse, DR8 and beyond, and general detect.
# differs: qemu: bit 12 of DR6 can be set
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    mov rax, dr7
    EQ64 rax, 0x400
    mov rax, dr6
    mov ebx, DR6_ONES
    EQ64 rax, rbx
    mov eax, 0xffffffff
    mov dr6, rax
    mov rax, dr6
    and eax, 0xe00f
    EQ64 rax, 0xe00f
    mov rax, dr6
    and eax, 0x1000                 # always zero
    EQ64 rax, 0
    xor eax, eax
    mov dr7, rax
    mov rax, dr7
    EQ64 rax, 0x400                 # bit 10 is one
    mov eax, 0xd400                 # GD and RTM aside, reserved bits do not stick
    mov dr7, rax
    mov rax, dr7
    EQ64 rax, 0x400
    mov rax, 0x100000400
    FAULT64 13, 0, mov dr7, rax
    mov rax, 0x100000000
    FAULT64 13, 0, mov dr6, rax
    mov rax, 0x123456789abcdef0
    mov dr0, rax                    # 64 bits wide, any value
    mov rbx, dr0
    EQ64 rbx, rax
    FAULT64 6, 0, .byte 0x44, 0x0f, 0x21, 0xc0  # MOV RAX, DR8
    # General detect: #DB before any MOV of a debug register; the CPU clears GD for the handler.
    xor eax, eax
    mov dr6, rax
    mov eax, 0x2400
    mov dr7, rax
    FAULT64 1, 0, mov rbx, dr0
    mov rax, dr7
    EQ64 rax, 0x400
    DR6_IS DR6_BD
    PASS64
