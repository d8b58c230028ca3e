# NMI: it ignores IF, is blocked until IRET, one more is remembered meanwhile, and wakes HLT.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.macro NMI
    APIC_WRITE APIC_ICR_HIGH, 0
    APIC_WRITE APIC_ICR, 0x4400     # to itself, by its id: the shorthand is for fixed interrupts
    mov ecx, 1000
1:  loop 1b
.endm
main:
    APIC_ENABLE
    GATE64 2, handler
    NMI
    EQ64 rbx, 1
    # Two more from inside the handler: one of them is remembered until its IRET.
    GATE64 2, nested
    xor ebx, ebx
    NMI
    EQ64 rbx, 2
    EQ64 [RESULTS], 1               # none inside the handler
    # An exception's IRET inside the handler unblocks.
    GATE64 2, unblocking
    GATE64 6, skip
    xor ebx, ebx
    mov qword ptr [RESULTS], 0
    NMI
    EQ64 rbx, 2
    EQ64 [RESULTS], 2
    PASS64
handler:
    inc ebx
    iretq
nested:
    push rax
    push rcx
    push rdx
    inc ebx
    cmp ebx, 1
    jne 2f
    NMI
    NMI
    NMI
    mov [RESULTS], rbx
2:  pop rdx
    pop rcx
    pop rax
    iretq
unblocking:
    push rax
    push rcx
    push rdx
    inc ebx
    cmp ebx, 1
    jne 2f
    NMI
    ud2                             # its IRET lets the pending NMI in
    nop
    mov [RESULTS], rbx
2:  pop rdx
    pop rcx
    pop rax
    iretq
skip:
    add qword ptr [rsp], 2
    iretq
