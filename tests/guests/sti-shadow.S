# STI's shadow: an interrupt that is pending comes behind the instruction after STI; STI with IF set casts none; CLI
# right behind STI lets nothing in.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 0x40, handler
.macro PEND
    APIC_WRITE APIC_ICR, 0x44040    # fixed, to itself, vector 0x40
    mov ecx, 1000
1:  APIC_READ APIC_IRR+0x20
    bt eax, 0
    dec ecx
    jz 2f
    test eax, eax
    jz 1b
2:
.endm
    PEND
    xor ebx, ebx
    sti
    inc ebx
here:
    nop
    EQ64 [RESULTS], "offset here"
    EQ64 [RESULTS+8], 1
    cli
    PEND
    mov qword ptr [RESULTS], 0
    sti
    cli
    nop
    EQ64 [RESULTS], 0               # nothing came in
    # HLT behind STI: the interrupt ends it.
    sti
    hlt
after_hlt:
    cli
    EQ64 [RESULTS], "offset after_hlt"
    PEND
    mov qword ptr [RESULTS], 0
    push 0x202
    popfq                           # IF by POPF: no shadow
popf_here:
    nop
    cli
    EQ64 [RESULTS], "offset popf_here"
    PASS64
handler:
    mov rax, [rsp]
    mov [RESULTS], rax
    mov [RESULTS+8], rbx
    APIC_WRITE APIC_EOI, 0
    iretq
