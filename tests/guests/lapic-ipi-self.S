# An interrupt to oneself: pending in IRR, then in service in ISR, gone at the EOI; the shorthand, physical and logical
# destinations; vectors below 16 are errors.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 0x41, handler
    SELF_IPI 0x41
    APIC_BIT APIC_IRR, 0x41
    EQ64 rax, 1
    APIC_BIT APIC_ISR, 0x41
    EQ64 rax, 0
    EQ64 rbx, 0
    LET_IN
    EQ64 rbx, 1
    EQ64 [RESULTS], 1               # in service while the handler ran
    EQ64 [RESULTS+8], 0
    APIC_BIT APIC_ISR, 0x41
    EQ64 rax, 0
    # by physical id
    APIC_WRITE APIC_ICR_HIGH, 0
    APIC_WRITE APIC_ICR, 0x4041
    LET_IN
    EQ64 rbx, 2
    # by logical id, flat
    APIC_WRITE APIC_LDR, 0x04000000
    APIC_WRITE APIC_ICR_HIGH, 0x06000000
    APIC_WRITE APIC_ICR, 0x4841
    LET_IN
    EQ64 rbx, 3
    APIC_WRITE APIC_ICR_HIGH, 0x08000000
    APIC_WRITE APIC_ICR, 0x4841     # nobody has that bit
    LET_IN
    EQ64 rbx, 3
    # to all including self
    APIC_WRITE APIC_ICR, 0x84041
    LET_IN
    EQ64 rbx, 4
    # to all but self
    APIC_WRITE APIC_ICR, 0xc4041
    LET_IN
    EQ64 rbx, 4
    # The same vector twice is pending once.
    SELF_IPI 0x41
    SELF_IPI 0x41
    LET_IN
    EQ64 rbx, 5
    PASS64
handler:
    push rax
    push rdx
    inc ebx
    APIC_BIT APIC_ISR, 0x41
    mov [RESULTS], rax
    APIC_BIT APIC_IRR, 0x41
    mov [RESULTS+8], rax
    APIC_EOI_NOW
    pop rdx
    pop rax
    iretq
