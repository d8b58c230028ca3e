# PAE's table of pointers is 32 bytes long and aligned to 32: CR3 bits 5 to 11 are part of its address.
# expect: exit=0x10
.include "prot.inc"
.include "pae.inc"
main:
    PAE_TABLES
    mov dword ptr [POINTERS+0xfe0], PAE_DIRECTORY+P_
    mov dword ptr [POINTERS+0xfe8], PAE_DIRECTORY+P_
    mov dword ptr [DATA], 0x1234
    PAE_ON
    mov eax, POINTERS+0xfe0+0x18    # PWT and PCD are ignored
    mov cr3, eax
    EQ32 [DATA], 0x1234
    EQ32 [0x40000000+DATA], 0x1234
    FAULT32 14, 0, mov eax, [0x80000000+DATA]
    PASS32
