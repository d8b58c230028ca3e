# Paging switched on and off again: translations do not survive, and addresses are physical once more.
# expect: exit=0x10
.include "prot.inc"
.include "page32.inc"
.macro PG on
    mov eax, cr0
    btr eax, 31
    .if \on
    bts eax, 31
    .endif
    mov cr0, eax
    jmp .Lpg\@
.Lpg\@:
.endm
main:
    mov dword ptr [DATA], 0x11
    mov dword ptr [DATA+0x1000], 0x22
    mov dword ptr [DATA+0x2000], 0x33
    PAGING32
    PTE32 DATA, DATA+0x1000+P_+RW
    EQ32 [DATA], 0x22
    PG 0
    EQ32 [DATA], 0x11
    mov dword ptr [TABLE+(DATA>>12)*4], DATA+0x2000+P_+RW
    PG 1
    EQ32 [DATA], 0x33
    PASS32
