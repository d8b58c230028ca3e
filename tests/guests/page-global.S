# Global pages: a load of CR3 leaves their translations alone, INVLPG and a change of CR4.PGE do not.
# expect: exit=0x10
.include "long.inc"
.set E1, PT_LOW+(DATA>>12)*8
.macro RELOAD
    mov rax, cr3
    mov cr3, rax
.endm
main:
    mov rax, cr4
    bts rax, 7
    mov cr4, rax
    mov dword ptr [DATA+0x1000], 0x11
    mov dword ptr [DATA+0x2000], 0x22
    # Not global: CR3 drops it.
    PTE DATA, DATA+0x1000+P_+RW
    EQ64 [DATA], 0x11
    mov qword ptr [E1], DATA+0x2000+P_+RW
    RELOAD
    EQ64 [DATA], 0x22
    # Global: INVLPG drops it.
    PTE DATA, DATA+0x1000+P_+RW+G_
    EQ64 [DATA], 0x11
    PTE DATA, DATA+0x2000+P_+RW+G_
    EQ64 [DATA], 0x22
    # So does clearing and setting PGE.
    mov qword ptr [E1], DATA+0x1000+P_+RW+G_
    mov rax, cr4
    btr rax, 7
    mov cr4, rax
    bts rax, 7
    mov cr4, rax
    EQ64 [DATA], 0x11
    # So does setting SMEP.
    mov qword ptr [E1], DATA+0x2000+P_+RW+G_
    mov rax, cr4
    bts rax, 20
    mov cr4, rax
    EQ64 [DATA], 0x22
    PASS64
