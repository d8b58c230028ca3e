# Priorities: the highest vector first, classes of sixteen, TPR and PPR, nesting, and an EOI that takes the highest one
# in service.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 0xff, spurious           # may come when TPR withdraws an interrupt
    GATE64 0x41, plain_41
    GATE64 0x45, plain_45
    GATE64 0x52, plain_52
    GATE64 0x63, plain_63
    # Three pending: from the highest to the lowest
    SELF_IPI 0x41
    SELF_IPI 0x52
    SELF_IPI 0x45
    call let_in
    EQ64 rbx, 0x524541
    # TPR holds its class and those below back.
    APIC_WRITE APIC_TPR, 0x50
    APIC_READ APIC_PPR
    EQ64 rax, 0x50
    SELF_IPI 0x52
    SELF_IPI 0x63
    call let_in
    EQ64 rbx, 0x63
    APIC_BIT APIC_IRR, 0x52
    EQ64 rax, 1
    APIC_WRITE APIC_TPR, 0x4f
    call let_in
    EQ64 rbx, 0x52
    APIC_WRITE APIC_TPR, 0
    # Nesting: a handler of class 4 is interrupted by class 6, but not by its own class.
    GATE64 0x41, nesting
    SELF_IPI 0x41
    call let_in
    EQ64 rbx, 0x41634245            # 0x42: the end of 0x41
    EQ64 [RESULTS], 0x40            # PPR in the handler
    # PPR is the larger of TPR and what is in service.
    GATE64 0x41, with_tpr
    SELF_IPI 0x41
    call let_in
    EQ64 [RESULTS], 0x40
    EQ64 [RESULTS+8], 0x73
    PASS64
let_in:
    xor ebx, ebx
    LET_IN
    ret
.macro PLAIN vector
plain_\vector:
    push rdx
    shl ebx, 8
    or ebx, 0x\vector
    APIC_EOI_NOW
    pop rdx
    iretq
.endm
    PLAIN 41
    PLAIN 45
    PLAIN 52
    PLAIN 63
nesting:
    push rax
    push rdx
    shl ebx, 8
    or ebx, 0x41
    APIC_READ APIC_PPR
    mov [RESULTS], rax
    SELF_IPI 0x45
    SELF_IPI 0x63
    LET_IN
    shl ebx, 8
    or ebx, 0x42
    APIC_EOI_NOW
    pop rdx
    pop rax
    iretq
with_tpr:
    push rax
    push rdx
    APIC_WRITE APIC_TPR, 0x33
    APIC_READ APIC_PPR
    mov [RESULTS], rax
    APIC_WRITE APIC_TPR, 0x73
    APIC_READ APIC_PPR
    mov [RESULTS+8], rax
    APIC_WRITE APIC_TPR, 0
    APIC_EOI_NOW
    pop rdx
    pop rax
    iretq
spurious:
    iretq
