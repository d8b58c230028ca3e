# INIT stops a running CPU wherever it is, even with interrupts off and halted, and a startup IPI runs it again; what
# memory holds is untouched.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
main:
    APIC_ENABLE
    SMP_START 1, spinning
    WAIT_FOR [RESULTS], 1
    # A CPU in a tight loop
    SMP_START 1, halted
    WAIT_FOR [RESULTS], 2
    mov rax, [RESULTS+8]
    DELAY
    EQ64 [RESULTS+8], rax           # the loop has ended
    # A halted one
    SMP_START 1, last
    WAIT_FOR [RESULTS], 3
    EQ64 [RESULTS+16], 0            # the APIC was reset
    # INIT alone keeps it from running.
    APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4500
    DELAY
    mov rbx, [RESULTS+8]
    DELAY
    EQ64 [RESULTS+8], rbx
    PASS64
spinning:
    APIC_ENABLE
    APIC_WRITE APIC_TPR, 0x50
    mov qword ptr [RESULTS], 1
1:  inc qword ptr [RESULTS+8]
    jmp 1b
halted:
    mov qword ptr [RESULTS], 2
1:  cli
    hlt
    jmp 1b
last:
    APIC_READ APIC_TPR
    mov [RESULTS+16], rax
    mov qword ptr [RESULTS], 3
1:  inc qword ptr [RESULTS+8]
    jmp 1b
