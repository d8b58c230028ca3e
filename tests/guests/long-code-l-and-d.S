# A code segment with both L and D is refused by every far transfer in 64-bit mode.
# differs: qemu: it takes the segment for 32-bit code
# expect: exit=0x10
.include "long.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x9a, 14
    push FREE0
    push offset main
    FAULT64 13, FREE0, retfq
    mov dword ptr [RESULTS], offset main
    mov word ptr [RESULTS+4], FREE0
    FAULT64 13, FREE0, jmp fword ptr [RESULTS]
    FAULT64 13, FREE0, call fword ptr [RESULTS]
    mov rax, rsp
    EQ64 rax, BOOT_STACK-16
    GATE64 0x60, main, 0x8e, 0, FREE0
    FAULT64 13, FREE0, int 0x60
    PASS64
