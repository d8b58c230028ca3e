# A write that crosses into a page which refuses it writes nothing at all; CR2 is the first byte that was refused.
# differs: qemu: a locked access that crosses reads first
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
.macro UNTOUCHED
    EQ64 [EDGE-8], 0x11
.endm
main:
    mov rax, cr4
    or eax, 0x600                   # OSFXSR, OSXMMEXCPT
    mov cr4, rax
    mov rax, cr0
    bts rax, 16                     # WP
    mov cr0, rax
    mov qword ptr [EDGE-8], 0x11
    PTE EDGE, 0
    mov rax, -1
    FAULT64 14, 2, mov [EDGE-1], ax
    EQ64 [TRAP_CR2], EDGE
    FAULT64 14, 2, mov [EDGE-3], eax
    EQ64 [TRAP_CR2], EDGE
    FAULT64 14, 2, mov [EDGE-7], rax
    EQ64 [TRAP_CR2], EDGE
    FAULT64 14, 2, lock xadd [EDGE-4], rax
    EQ64 rax, -1
    FAULT64 14, 2, xchg [EDGE-2], rax
    EQ64 rax, -1
    FAULT64 14, 2, movups [EDGE-5], xmm0
    EQ64 [TRAP_CR2], EDGE
    UNTOUCHED
    PTE EDGE, EDGE+P_
    FAULT64 14, 3, mov [EDGE-4], rax
    EQ64 [TRAP_CR2], EDGE
    FAULT64 14, 3, add [EDGE-4], rax
    UNTOUCHED
    # The other way round: the first page refuses, CR2 is the access's own address.
    PTE EDGE, EDGE+P_+RW
    PTE DATA, 0
    mov qword ptr [EDGE], 0x22
    FAULT64 14, 2, mov [EDGE-4], rax
    EQ64 [TRAP_CR2], EDGE-4
    EQ64 [EDGE], 0x22
    # Both absent: the first one is named.
    PTE EDGE, 0
    FAULT64 14, 0, mov rax, [EDGE-4]
    EQ64 [TRAP_CR2], EDGE-4
    PASS64
