# A software-disabled APIC: it takes no fixed interrupts, LINT0 is masked; what was pending stays, and NMI comes through.
# differs: qemu: it takes fixed interrupts
# differs: bochs: it takes fixed interrupts
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    GATE64 0x41, handler
    GATE64 2, nmi
    xor ebx, ebx
    xor esi, esi
    APIC_WRITE APIC_ICR_HIGH, 0
    APIC_WRITE APIC_ICR, 0x4041     # SVR's enable bit is clear
    LET_IN
    EQ64 rbx, 0
    APIC_BIT APIC_IRR, 0x41
    EQ64 rax, 0
    APIC_WRITE APIC_ICR, 0x4400
    mov ecx, 1000
1:  loop 1b
    EQ64 rsi, 1
    APIC_ENABLE
    LET_IN
    EQ64 rbx, 0                     # it was dropped
    APIC_WRITE APIC_ICR, 0x4041
    LET_IN
    EQ64 rbx, 1
    PASS64
handler:
    push rdx
    inc ebx
    APIC_EOI_NOW
    pop rdx
    iretq
nmi:
    inc esi
    iretq
