# LLDT and SLDT, segments in the LDT, and the refusals of LLDT.
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, TABLES, 0x17, 0x82
    DESCRIPTOR 1, TABLES, 0x17, 0x02            # absent
    DESCRIPTOR 2, 0, 0xfffff, 0x92, 12
    mov dword ptr [TABLES+8], 0x0000ffff
    mov dword ptr [TABLES+12], 0x00cf9210       # base 0x100000
    sldt eax
    EQ32 eax, 0
    mov eax, 0xc
    FAULT32 13, 0xc, mov fs, eax                # there is no LDT
    mov eax, FREE0
    lldt ax
    sldt ebx
    EQ32 ebx, FREE0
    EQ32 [gdt_free+4], 0x8204                   # no busy or accessed bit for an LDT
    mov eax, 0xc
    mov fs, eax
    mov dword ptr fs:[8], 0x5678
    EQ32 [DATA+8], 0x5678
    mov eax, 0x1c                               # beyond the LDT's limit
    FAULT32 13, 0x1c, mov fs, eax
    mov eax, FREE1
    FAULT32 11, FREE1, lldt ax
    mov eax, FREE2
    FAULT32 13, FREE2, lldt ax
    mov eax, 0xc
    FAULT32 13, 0xc, lldt ax                    # an LDT is found in the GDT alone
    sldt ebx
    EQ32 ebx, FREE0
    mov eax, 3                                  # null
    lldt ax
    mov eax, 0xc
    FAULT32 13, 0xc, mov fs, eax
    mov al, fs:[8]                              # what was loaded stays
    EQ32 eax, 0x78
    PASS32
