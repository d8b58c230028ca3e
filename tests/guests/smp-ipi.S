# Interrupts between two CPUs: by physical and logical id, to all but oneself, NMI, and a halted CPU wakes up.
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
    APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4041
    WAIT_FOR [RESULTS+8], 1
    APIC_WRITE APIC_ICR, 0xc4041    # to all but itself
    WAIT_FOR [RESULTS+8], 2
    APIC_WRITE APIC_ICR_HIGH, 0x80000000
    APIC_WRITE APIC_ICR, 0x4841     # logical
    WAIT_FOR [RESULTS+8], 3
    APIC_WRITE APIC_ICR_HIGH, 0xff000000
    APIC_WRITE APIC_ICR, 0x4041     # broadcast: also to this CPU, where IF is clear
    WAIT_FOR [RESULTS+8], 4
    APIC_BIT APIC_IRR, 0x41
    EQ64 rax, 1
    APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4400     # NMI
    WAIT_FOR [RESULTS+16], 1
    EQ64 [RESULTS+8], 4
    # Ping-pong
    mov ebx, 5
1:  APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4041
2:  pause
    cmp [RESULTS+8], rbx
    jne 2b
    inc ebx
    cmp ebx, 1000
    jne 1b
    PASS64
second:
    APIC_ENABLE
    APIC_WRITE APIC_LDR, 0x80000000
    mov qword ptr [RESULTS], 1
    sti
1:  hlt
    jmp 1b
handler:
    push rdx
    APIC_EOI_NOW
    pop rdx
    inc qword ptr [RESULTS+8]
    iretq
nmi:
    inc qword ptr [RESULTS+16]
    iretq
