# Accessed and dirty bits: reads and fetches set A at every level, a write sets D in the leaf, and a write through a
# translation that was cached by a read still sets D.
# expect: exit=0x10
.include "long.inc"
.set E1, PT_LOW+(DATA>>12)*8
.macro LEAF expected
    mov eax, [E1]
    and eax, A_+D_
    EQ64 rax, (\expected)
.endm
main:
    btr qword ptr [PML4], 5
    btr qword ptr [PDPT], 5
    btr qword ptr [PD_LOW], 5
    mov rax, cr3
    mov cr3, rax
    PTE DATA, DATA+P_+RW
    mov eax, [DATA]
    LEAF A_
    mov eax, [PML4]
    and eax, A_+D_
    EQ64 rax, A_                    # upper levels have no D
    mov eax, [PDPT]
    and eax, A_+D_
    EQ64 rax, A_
    mov eax, [PD_LOW]
    and eax, A_+D_
    EQ64 rax, A_
    mov dword ptr [DATA], 1         # the translation is cached, and clean
    LEAF A_+D_
    PTE DATA, DATA+P_+RW
    lock inc dword ptr [DATA]
    LEAF A_+D_
    PTE DATA, DATA+P_+RW
    LEAF 0
    # A fetch
    PTE DATA, DATA+P_+RW
    mov byte ptr [DATA+4], 0xc3
    PTE DATA, DATA+P_+RW
    mov eax, DATA+4
    call rax
    LEAF A_
    # PREFETCH and INVLPG promise nothing; a compare-and-exchange that fails writes all the same.
    PTE DATA, DATA+P_+RW
    mov eax, 0x12345
    lock cmpxchg [DATA], ecx
    LEAF A_+D_
    # A large page
    mov qword ptr [PD_LOW+8], PAGES+P_+RW+PS
    invlpg [PAGES]
    mov eax, [PAGES+0x5000]
    mov eax, [PD_LOW+8]
    and eax, A_+D_
    EQ64 rax, A_
    mov [PAGES+0x7000], eax
    mov eax, [PD_LOW+8]
    and eax, A_+D_
    EQ64 rax, A_+D_
    PASS64
