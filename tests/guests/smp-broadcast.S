# Four CPUs: INIT and startup to all but oneself, as kernels without tables do it; each gets an id of its own.
# cpus: 4
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
main:
    APIC_ENABLE
    cld
    mov esi, offset smp_startup
    mov edi, STARTUP
    mov ecx, offset smp_startup_end - smp_startup
    rep movsb
    mov qword ptr [smp_entry], offset others
    APIC_WRITE APIC_ICR, 0xc4500
    DELAY
    APIC_WRITE APIC_ICR, 0xc4600+(STARTUP>>12)
    DELAY
    WAIT_FOR [RESULTS], 3
    EQ64 [RESULTS+8], 0xe           # ids 1, 2 and 3
    # All add to one counter.
    mov qword ptr [RESULTS+24], 1
    WAIT_FOR [RESULTS+32], 3
    EQ64 [RESULTS+16], 30000
    PASS64
others:                             # without a stack
    APIC_READ APIC_ID
    shr eax, 24
    lock bts [RESULTS+8], rax
    lock inc qword ptr [RESULTS]
1:  pause
    cmp qword ptr [RESULTS+24], 1
    jne 1b
    mov ecx, 10000
2:  lock inc qword ptr [RESULTS+16]
    loop 2b
    lock inc qword ptr [RESULTS+32]
3:  cli
    hlt
    jmp 3b
