# The PICs: masks, IRR and ISR by OCW3, priorities, specific and automatic EOI, the cascade.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "pic.inc"
.macro IRQS value
    mov al, \value
    out 0x20, al
    in al, 0x20
    movzx eax, al
.endm
main:
    VIRTUAL_WIRE
    PIC_INIT 0xa5, 0x5a
    in al, 0x21
    movzx eax, al
    EQ64 rax, 0xa5
    in al, 0xa1
    movzx eax, al
    EQ64 rax, 0x5a
    # IRQ 0 pending while masked: IRR shows it
    PIC_INIT 0xff, 0xff
    mov al, 0x30                    # channel 0, mode 0
    out 0x43, al
    mov al, 0x10
    out 0x40, al
    xor al, al
    out 0x40, al
1:  IRQS 0x0a                       # IRR
    test al, 1
    jz 1b
    IRQS 0x0b                       # ISR
    EQ64 rax, 0
    GATE64 0x20, tick
    mov al, 0xfe
    out 0x21, al
    sti
    mov ecx, 100000
1:  cmp ebx, 1
    je 1f
    loop 1b
1:  cli
    EQ64 rbx, 1
    EQ64 rsi, 1                     # in service in the handler
    IRQS 0x0b
    EQ64 rax, 0
    # RTC: IRQ 8 by the cascade
    GATE64 0x28, rtc
    PIC_INIT 0xfb, 0xfe
    mov al, 0x0b
    out 0x70, al
    in al, 0x71
    or al, 0x40                     # periodic
    mov ah, al
    mov al, 0x0b
    out 0x70, al
    mov al, ah
    out 0x71, al
    mov al, 0x0c
    out 0x70, al
    in al, 0x71
    SLEEP_UNTIL 4
    EQ64 rdi, 0x0104                # IRQ 2 on the master, IRQ 0 of the slave
    PASS64
tick:
    push rax
    inc ebx
    IRQS 0x0b
    mov esi, eax
    mov al, 0x60                    # specific EOI of IRQ 0
    out 0x20, al
    pop rax
    iretq
rtc:
    push rax
    inc ebx
    mov al, 0x0c
    out 0x70, al
    in al, 0x71                     # acknowledges
    mov al, 0x0b
    out 0xa0, al
    in al, 0xa0
    movzx edi, al
    shl edi, 8
    IRQS 0x0b
    or edi, eax
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop rax
    iretq
