# The local APIC's timer: one-shot counts down once, periodic again and again, the current count, the divider, mask and
# initial count zero.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 0x42, tick
    APIC_WRITE APIC_TIMER_DIVIDE, 0xb           # by 1
    APIC_WRITE APIC_LVT_TIMER, 0x42
    APIC_WRITE APIC_TIMER_INITIAL, 100000
    SLEEP_UNTIL 1
    APIC_READ APIC_TIMER_CURRENT
    EQ64 rax, 0                                 # one-shot: it stays there
    # The count goes down.
    cli
    APIC_WRITE APIC_TIMER_INITIAL, 0x7fffffff
    APIC_READ APIC_TIMER_CURRENT
    mov esi, eax
    mov ecx, 10000
1:  loop 1b
    APIC_READ APIC_TIMER_CURRENT
    cmp eax, esi
    jae bad
    cmp eax, 0x10000000
    jb bad
    APIC_WRITE APIC_TIMER_INITIAL, 0            # stops it
    APIC_READ APIC_TIMER_CURRENT
    EQ64 rax, 0
    # Periodic
    APIC_WRITE APIC_LVT_TIMER, 0x20042
    APIC_WRITE APIC_TIMER_INITIAL, 100000
    SLEEP_UNTIL 5
    APIC_READ APIC_TIMER_CURRENT
    cmp eax, 100000
    ja bad
    # Masked: it counts, but does not interrupt.
    APIC_WRITE APIC_LVT_TIMER, 0x30042
    sti
    nop
    cli
    mov esi, ebx
    APIC_READ APIC_TIMER_CURRENT
    mov edi, eax
1:  APIC_READ APIC_TIMER_CURRENT
    cmp eax, edi
    je 1b
    sti
    mov ecx, 1000000
1:  loop 1b
    cli
    EQ64 rbx, rsi
    APIC_WRITE APIC_TIMER_INITIAL, 0
    PASS64
bad:
    FAIL64
tick:
    push rdx
    inc ebx
    APIC_EOI_NOW
    pop rdx
    iretq
