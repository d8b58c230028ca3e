# Lowest-priority delivery: one CPU of the group gets the interrupt, whichever, and only once.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
main:
    APIC_ENABLE
    GATE64 0x41, handler
    APIC_WRITE APIC_LDR, 0x01000000
    SMP_START 1, second
    WAIT_FOR [RESULTS], 1
    sti
    mov ebp, 1
1:  APIC_WRITE APIC_ICR_HIGH, 0x03000000
    APIC_WRITE APIC_ICR, 0x4941     # logical, lowest priority
2:  pause
    cmp [RESULTS+16], rbp           # taken by one of them
    jb 2b
    inc ebp
    cmp ebp, 200
    jne 1b
    LET_IN
    EQ64 [RESULTS+16], 199          # and by one alone
    PASS64
second:
    APIC_ENABLE
    APIC_WRITE APIC_LDR, 0x02000000
    mov qword ptr [RESULTS], 1
    sti
1:  hlt
    jmp 1b
handler:
    push rdx
    lock inc qword ptr [RESULTS+16]
    APIC_EOI_NOW
    pop rdx
    iretq
