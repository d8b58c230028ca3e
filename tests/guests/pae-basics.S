# PAE paging: 4 KiB and 2 MiB pages, rights, accessed and dirty bits, NX.
# expect: exit=0x10
.include "prot.inc"
.include "pae.inc"
main:
    PAE_TABLES
    PAE_ON
    PTE_PAE DATA, DATA+0x1000+P_+RW
    mov dword ptr [DATA], 0x1234
    EQ32 [DATA+0x1000], 0x1234
    mov eax, [PAE_TABLE+(DATA>>12)*8]
    EQ32 eax, DATA+0x1000+P_+RW+A_+D_
    mov dword ptr [PAGES], 0x5678
    mov eax, [PAE_DIRECTORY+8]
    EQ32 eax, 0x200000+P_+RW+US+PS+A_+D_
    FAULT32 14, 0, mov eax, [0x1000000]
    FAULT32 14, 2, mov [0x40000000], eax        # an absent directory pointer
    EQ32 [TRAP_CR2], 0x40000000
    USER32 user
    TRAPPED32 14, 5, user
    # NX
    mov ecx, MSR_EFER
    rdmsr
    bts eax, 11
    wrmsr
    PTE_PAE DATA, DATA+P_+RW, 0x80000000
    mov byte ptr [DATA], 0xc3
    EXPECT32 1f
    mov eax, DATA
    call eax
1:  TRAPPED32 14, 0x11, DATA
    PASS32
.section .user, "ax"
user:
    mov eax, [DATA]
