# 4 MiB pages: only with CR4.PSE, their dirty bit, address bits 32 to 39 (PSE-36), and reserved bits.
# differs: qemu: reserved bits are reported without the present bit
# expect: exit=0x10
.include "prot.inc"
.include "page32.inc"
main:
    PAGING32
    mov dword ptr [DATA], 0x1234
    # Without PSE bit 7 is ignored: the entry points to a table.
    mov dword ptr [DIRECTORY+4], TABLE+P_+RW+PS
    EQ32 [0x400000+DATA], 0x1234
    mov eax, 0x10
    mov cr4, eax
    mov eax, cr3
    mov cr3, eax
    mov dword ptr [DIRECTORY+4], 0x800000+P_+RW+PS
    invlpg [0x400000]
    mov dword ptr [0x400000], 0x5678
    EQ32 [DIRECTORY+4], 0x800000+P_+RW+PS+A_+D_
    mov dword ptr [DIRECTORY+8], 0x800000+P_+PS
    EQ32 [0x800000], 0x5678
    EQ32 [DIRECTORY+8], 0x800000+P_+PS+A_
    mov dword ptr [DIRECTORY+12], P_+RW+PS
    EQ32 [0xc00000+DATA], 0x1234
    # Bit 21 is reserved; bits 13 to 20 are address bits 32 to 39.
    mov dword ptr [DIRECTORY+16], 0x200000+P_+RW+PS
    FAULT32 14, 9, mov eax, [0x1000000]
    PASS32
