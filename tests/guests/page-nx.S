# NX: a fetch from a page with bit 63 set faults with error code bit 4, reads and writes pass; the bit at an upper
# level forbids the whole range; without EFER.NXE the bit is reserved.
# differs: qemu: reserved bits are reported without the present bit
# expect: exit=0x10
.include "long.inc"
main:
    mov byte ptr [DATA], 0xc3       # RET
    mov edi, DATA
    call rdi
    bts qword ptr [PT_LOW+(DATA>>12)*8], 63
    invlpg [DATA]
    FAULT64 14, 9, mov eax, [DATA]  # reserved while EFER.NXE is clear
    mov ecx, MSR_EFER
    rdmsr
    bts eax, 11
    wrmsr
    invlpg [DATA]
    cmp byte ptr [DATA], 0xc3
    jne bad
    mov byte ptr [DATA+1], 0xc3
    EXPECT64 1f
    call rdi
1:  TRAPPED64 14, 0x11, DATA
    EQ64 [TRAP_CR2], DATA
    # The CALL had pushed its return address before the fetch of its target faulted.
    EQ64 [TRAP_SP], BOOT_STACK-8
    # An absent page: the fetch bit without the present bit
    PTE DATA+0x1000, 0
    EXPECT64 1f
    jmp DATA+0x1000
1:  TRAPPED64 14, 0x10, DATA+0x1000
    # At the page directory's level
    bts qword ptr [PD_LOW+8], 63
    invlpg [PAGES]
    mov byte ptr [PAGES], 0xc3
    mov edi, PAGES
    EXPECT64 1f
    call rdi
1:  TRAPPED64 14, 0x11, PAGES
    btr qword ptr [PD_LOW+8], 63
    invlpg [PAGES]
    call rdi
    PASS64
bad:
    FAIL64
