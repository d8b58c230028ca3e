# A TLB shootdown: after the other CPU has answered the interrupt by INVLPG, it never sees the old page again.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set E1, PT_LOW+(DATA>>12)*8
main:
    APIC_ENABLE
    GATE64 0x41, flush
    mov qword ptr [DATA+0x1000], 1
    mov qword ptr [DATA+0x2000], 2
    PTE DATA, DATA+0x1000+P_+RW
    SMP_START 1, second
    WAIT_FOR [RESULTS], 1
    mov ebp, 50
1:  # page 2
    mov qword ptr [E1], DATA+0x2000+P_+RW
    call shoot
    mov qword ptr [DATA+0x1000], 3  # poison
    mov ecx, 1000
2:  loop 2b
    mov qword ptr [DATA+0x1000], 1
    mov qword ptr [E1], DATA+0x1000+P_+RW
    call shoot
    mov qword ptr [DATA+0x2000], 3
    mov ecx, 1000
2:  loop 2b
    mov qword ptr [DATA+0x2000], 2
    dec ebp
    jnz 1b
    EQ64 [RESULTS+16], 0
    PASS64
shoot:
    mov qword ptr [RESULTS+8], 0
    APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4041
    WAIT_FOR [RESULTS+8], 1
    ret
second:
    APIC_ENABLE
    mov qword ptr [RESULTS], 1
    sti
1:  cmp qword ptr [DATA], 3
    jne 1b
    inc qword ptr [RESULTS+16]      # the poison was seen
    jmp 1b
flush:
    push rdx
    invlpg [DATA]
    APIC_EOI_NOW
    mov qword ptr [RESULTS+8], 1
    pop rdx
    iretq
