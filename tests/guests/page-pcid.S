# PCID: translations are kept by process-context id; bit 63 of a CR3 load keeps them; CR4.PCIDE needs CR3[11:0] = 0.
# differs: qemu: its software CPU has no PCID
# expect: exit=0x10
.include "long.inc"
.set E1, PT_LOW+(DATA>>12)*8
.macro CR3 value
    mov rax, \value
    mov cr3, rax
.endm
main:
    CR3 PML4+8
    mov rax, cr4
    bts rax, 17
    FAULT64 13, 0, mov cr4, rax     # CR3[11:0] is not zero
    CR3 PML4
    mov rax, cr4
    bts rax, 17
    mov cr4, rax
    mov dword ptr [DATA+0x1000], 0x11
    mov dword ptr [DATA+0x2000], 0x22
    CR3 PML4+5
    mov rax, cr3
    EQ64 rax, PML4+5
    # A load without bit 63 drops what belongs to the new PCID.
    PTE DATA, DATA+0x1000+P_+RW
    EQ64 [DATA], 0x11
    CR3 PML4+6
    EQ64 [DATA], 0x11
    mov qword ptr [E1], DATA+0x2000+P_+RW
    CR3 PML4+5
    EQ64 [DATA], 0x22
    CR3 PML4+6
    EQ64 [DATA], 0x22
    # With bit 63 it may keep them: both answers are right, and INVLPG is for the current PCID.
    CR3 (1<<63)+PML4+5
    mov rax, cr3
    EQ64 rax, PML4+5                # bit 63 is not kept
    mov qword ptr [E1], DATA+0x1000+P_+RW
    invlpg [DATA]
    EQ64 [DATA], 0x11
    # Bits beyond the address width fault, bit 63 aside.
    mov rax, (1<<62)+PML4
    FAULT64 13, 0, mov cr3, rax
    # Leaving PCID mode needs no particular PCID.
    mov rax, cr4
    btr rax, 17
    mov cr4, rax
    mov rax, cr3
    mov cr3, rax
    EQ64 [DATA], 0x11
    mov rax, (1<<63)+PML4
    FAULT64 13, 0, mov cr3, rax     # without PCIDE bit 63 is reserved
    PASS64
