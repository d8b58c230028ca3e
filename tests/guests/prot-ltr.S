# LTR and STR: the busy bit, and the refusals.
# differs: qemu: it loads a null task register
# expect: exit=0x10
.include "prot.inc"
main:
    str eax
    EQ32 eax, TSS_SEL
    movzx eax, byte ptr [gdt+TSS_SEL+5]
    EQ32 eax, 0x8b                              # busy
    mov eax, TSS_SEL
    FAULT32 13, TSS_SEL, ltr ax                 # busy
    xor eax, eax
    FAULT32 13, 0, ltr ax
    DESCRIPTOR 0, TSS, 0x67, 0x09               # absent
    mov eax, FREE0
    FAULT32 11, FREE0, ltr ax
    DESCRIPTOR 0, TSS, 0xfff, 0x92
    FAULT32 13, FREE0, ltr ax
    mov eax, FREE0+4
    FAULT32 13, FREE0+4, ltr ax                 # not in an LDT
    DESCRIPTOR 0, TSS, 0x2b, 0x81               # a 16-bit TSS
    mov eax, FREE0
    ltr ax
    movzx eax, byte ptr [gdt_free+5]
    EQ32 eax, 0x83
    str word ptr [RESULTS]
    EQ32 [RESULTS], FREE0
    PASS32
