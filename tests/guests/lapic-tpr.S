# What is not acknowledged stays: a software-disabled APIC keeps its pending interrupts; TPR raised in time withdraws
# one that was not yet taken.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 0xff, spurious           # may come when TPR withdraws an interrupt
    GATE64 0x41, handler
    SELF_IPI 0x41
    APIC_WRITE APIC_TPR, 0xf0
    LET_IN
    EQ64 rbx, 0
    APIC_BIT APIC_IRR, 0x41
    EQ64 rax, 1
    APIC_WRITE APIC_TPR, 0
    LET_IN
    EQ64 rbx, 1
    # An EOI without anything in service does nothing.
    APIC_EOI_NOW
    SELF_IPI 0x41
    LET_IN
    EQ64 rbx, 2
    PASS64
handler:
    push rdx
    inc ebx
    APIC_EOI_NOW
    pop rdx
    iretq
spurious:
    iretq
