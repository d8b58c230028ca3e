# A page that is not present: the error code of reads, writes and fetches at CPL 0, CR2, and that a fixed entry
# works without INVLPG, because entries that are not present are never cached.
# expect: exit=0x10
.include "long.inc"
main:
    PTE DATA, 0
    FAULT64 14, 0, mov eax, [DATA+0x123]
    EQ64 [TRAP_CR2], DATA+0x123
    FAULT64 14, 2, mov [DATA+0xffd], al
    EQ64 [TRAP_CR2], DATA+0xffd
    FAULT64 14, 0, cmp dword ptr [DATA+8], 1
    EXPECT64 1f
    jmp DATA
1:  TRAPPED64 14, 0, DATA           # without NX a fetch looks like a read
    EQ64 [TRAP_CR2], DATA
    # An entry that was absent may be filled without INVLPG.
    mov qword ptr [PT_LOW+(DATA>>12)*8], DATA+P_+RW
    mov dword ptr [DATA+4], 0x12345678
    EQ64 [DATA+4], 0x12345678
    # The same through a missing page directory entry, pointer and PML4 entry
    mov rbx, 0x20000000
    FAULT64 14, 0, mov eax, [rbx]
    EQ64 [TRAP_CR2], 0x20000000
    mov rbx, 0x40000000
    FAULT64 14, 2, mov [rbx], eax
    mov rbx, 0xffff800000000000
    FAULT64 14, 0, mov eax, [rbx]
    EQ64 [TRAP_CR2], rbx
    PASS64
