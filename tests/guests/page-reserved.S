# Reserved bits of paging entries: PS in the PML4, low address bits of large pages, address bits beyond the CPU's
# width, at each level; the error code has RSVD and P, and W and U as usual.
# differs: qemu: reserved bits are reported without the present bit
# expect: exit=0x10
.include "long.inc"
main:
    # The first address bit that the CPU does not have
    mov eax, 0x80000008
    cpuid
    movzx ecx, al
    mov r8d, 1
    shl r8, cl
    cmp cl, 52
    je narrow_done
    mov rax, DATA+P_+RW
    or rax, r8
    mov [PT_LOW+(DATA>>12)*8], rax
    invlpg [DATA]
    FAULT64 14, 9, mov eax, [DATA]
    FAULT64 14, 0xb, mov [DATA], eax
    USER64 user
    TRAPPED64 14, 0xd, user
    or [PD_LOW+8], r8
    invlpg [PAGES]
    FAULT64 14, 9, mov eax, [PAGES]
    mov rax, TABLES+P_+RW
    or rax, r8
    mov [PDPT+8], rax
    mov ebx, 0x40000000
    FAULT64 14, 9, mov eax, [rbx]
    mov [PML4+8], rax
    mov rbx, 0x8000000000
    FAULT64 14, 9, mov eax, [rbx]
narrow_done:
    mov qword ptr [PML4+8], TABLES+P_+RW+PS
    mov rbx, 0x8000000000
    FAULT64 14, 9, mov eax, [rbx]
    EQ64 [TRAP_CR2], rbx
    mov qword ptr [PD_LOW+8], 0x202000+P_+RW+PS # bit 13
    invlpg [PAGES]
    FAULT64 14, 9, mov eax, [PAGES]
    mov qword ptr [PD_LOW+8], 0x201000+P_+RW+PS # bit 12 is PAT
    mov eax, [PAGES]
    # An entry that is not present has no reserved bits.
    mov qword ptr [PML4+8], -2
    mov rbx, 0x8000000000
    FAULT64 14, 0, mov eax, [rbx]
    # Ignored bits: 9 to 11 and 52 to 62
    mov rax, 0x7ff0000000000e00+DATA+P_+RW
    mov [PT_LOW+(DATA>>12)*8], rax
    invlpg [DATA]
    mov eax, [DATA]
    PASS64
.section .user, "ax"
user:
    mov eax, [DATA]
