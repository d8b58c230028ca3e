# The error status register: latched by a write, set by illegal vectors sent and received, and the error interrupt.
# differs: qemu: it detects no errors
# differs: bochs: it sends no error interrupt
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    APIC_WRITE APIC_ESR, 0
    APIC_READ APIC_ESR
    EQ64 rax, 0
    APIC_WRITE APIC_LVT_ERROR, 0x55
    GATE64 0x55, handler
    APIC_WRITE APIC_ICR, 0x44005    # vector 5, to itself
    LET_IN
    EQ64 rbx, 1
    APIC_READ APIC_ESR
    EQ64 rax, 0                     # nothing before the next write
    APIC_WRITE APIC_ESR, 0
    APIC_READ APIC_ESR
    and eax, 0x60                   # illegal vector: sent, and received by itself
    test eax, 0x20
    jnz 1f
    FAIL64
1:  APIC_WRITE APIC_ESR, 0
    APIC_READ APIC_ESR
    EQ64 rax, 0
    PASS64
handler:
    push rdx
    inc ebx
    APIC_EOI_NOW
    pop rdx
    iretq
