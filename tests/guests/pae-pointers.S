# PAE's four directory pointers live in the CPU: they are loaded with CR3, and by changes of CR0 and CR4; a bad
# one makes the load fault with #GP(0); a change in memory does nothing until then.
# differs: qemu: it reads the pointers on every walk
# expect: exit=0x10
.include "prot.inc"
.include "pae.inc"
main:
    PAE_TABLES
    PAE_ON
    mov dword ptr [DATA], 0x1234
    # A pointer that appears only in memory
    mov dword ptr [POINTERS+8], PAE_DIRECTORY+P_
    FAULT32 14, 0, mov eax, [0x40000000+DATA]
    mov eax, cr3
    mov cr3, eax
    EQ32 [0x40000000+DATA], 0x1234
    # and one that goes away, even after INVLPG
    mov dword ptr [POINTERS+8], 0
    invlpg [0x40000000+DATA]
    EQ32 [0x40000000+DATA], 0x1234
    # Reserved bits: 1, 2, 5 to 8
    .irp bit, 0x2, 0x4, 0x20, 0x100
    mov dword ptr [POINTERS+16], PAE_DIRECTORY+P_+\bit
    mov eax, cr3
    FAULT32 13, 0, mov cr3, eax
    .endr
    EQ32 [0x40000000+DATA], 0x1234  # the old ones are still there
    mov dword ptr [POINTERS+16], PAE_DIRECTORY+P_+0xe00+0x18    # ignored bits, PWT, PCD
    mov eax, cr3
    mov cr3, eax
    FAULT32 14, 0, mov eax, [0x40000000+DATA]
    EQ32 [0x80000000+DATA], 0x1234
    # An absent pointer may hold anything.
    mov dword ptr [POINTERS+24], 0xffffe
    mov eax, POINTERS
    mov cr3, eax
    # A change of CR4.PGE loads them as well.
    mov dword ptr [POINTERS+8], PAE_DIRECTORY+P_
    mov eax, cr4
    bts eax, 7
    mov cr4, eax
    EQ32 [0x40000000+DATA], 0x1234
    PASS32
