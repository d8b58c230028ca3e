# Double faults: which pairs make one. A page fault or a contributory exception while a page fault is delivered, and a
# contributory one while a contributory one is; the error code is zero.
# differs: qemu: error codes count IDT entries by 16
# expect: exit=0x10
.include "long.inc"
main:
    # #PF whose gate is absent: #NP while delivering #PF
    mov byte ptr [IDT+14*16+5], 0x0e
    PTE DATA, 0
    FAULT64 8, 0, mov eax, [DATA]
    EQ64 [TRAP_CR2], DATA
    # #DE whose gate is absent: #NP while delivering a contributory exception
    mov byte ptr [IDT+5], 0x0e
    xor ecx, ecx
    FAULT64 8, 0, div ecx
    # #UD is benign: its absent gate is simply #NP, with EXT set.
    mov byte ptr [IDT+6*16+5], 0x0e
    FAULT64 11, 6*8+3, ud2
    # A contributory exception, then a page fault in its delivery: not a double fault but the page fault
    GATE64 13, vectors64+13*8, 0x8e, 1
    mov qword ptr [TSS+0x24], DATA+0x1000
    PTE DATA, DATA+P_
    mov rax, cr0
    bts rax, 16
    mov cr0, rax
    GATE64 14, vectors64+14*8
    mov eax, 0x400
    FAULT64 14, 3, mov fs, eax
    EQ64 [TRAP_CR2], DATA+0xff8
    # A page fault in the delivery of a page fault
    GATE64 14, vectors64+14*8, 0x8e, 1
    PTE DATA+0x2000, 0
    FAULT64 8, 0, mov eax, [DATA+0x2000]
    EQ64 [TRAP_CR2], DATA+0xff8
    PASS64
