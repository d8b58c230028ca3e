# CR8 against pending interrupts: lowering it lets them in at once, raising it keeps them out, as Windows kernels do.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 0xff, spurious
    GATE64 0x41, handler
    GATE64 0x81, handler
    sti
    mov eax, 0xf
    mov cr8, rax
    xor ebx, ebx
    SELF_IPI 0x41
    SELF_IPI 0x81
    mov ecx, 1000
1:  loop 1b
    EQ64 rbx, 0
    mov eax, 4
    mov cr8, rax
    mov ecx, 1000
1:  loop 1b
    EQ64 rbx, 1                     # 0x81 alone
    APIC_BIT APIC_IRR, 0x41
    EQ64 rax, 1
    mov eax, 3
    mov cr8, rax
    mov ecx, 1000
1:  loop 1b
    EQ64 rbx, 2
    cli
    PASS64
handler:
    push rdx
    inc ebx
    APIC_EOI_NOW
    pop rdx
    iretq
spurious:
    iretq
