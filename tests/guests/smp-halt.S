# A CPU that halted with interrupts off wakes up by NMI alone; fixed interrupts wait until it lets them in.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
main:
    APIC_ENABLE
    GATE64 0x41, handler
    GATE64 2, nmi
    SMP_START 1, second
    WAIT_FOR [RESULTS], 1
    DELAY
    APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4041
    DELAY
    DELAY
    EQ64 [RESULTS+8], 0
    EQ64 [RESULTS], 1               # it still sleeps
    APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4400
    WAIT_FOR [RESULTS], 2
    EQ64 [RESULTS+16], 1
    WAIT_FOR [RESULTS+8], 1         # behind its STI
    PASS64
second:
    APIC_ENABLE
    cli
    mov qword ptr [RESULTS], 1
    hlt
    mov qword ptr [RESULTS], 2
    sti
1:  hlt
    jmp 1b
nmi:
    inc qword ptr [RESULTS+16]
    iretq
handler:
    push rdx
    APIC_EOI_NOW
    pop rdx
    inc qword ptr [RESULTS+8]
    iretq
