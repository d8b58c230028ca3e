# The PIT's channel 0 in mode 2 interrupts through the PIC: HLT wakes up, and the in-service bit holds further
# interrupts back until the EOI.
# expect: exit=0x10
.include "long.inc"
.include "pic.inc"
.include "apic.inc"
main:
    VIRTUAL_WIRE
    PIC_INIT 0xfe, 0xff             # IRQ 0 alone
    GATE64 0x20, tick
    mov al, 0x34                    # channel 0, both bytes, mode 2
    out 0x43, al
    mov al, 0xa9                    # 1193 ticks: 1 kHz
    out 0x40, al
    mov al, 4
    out 0x40, al
    xor ebx, ebx
    SLEEP_UNTIL 5
    # With no EOI the next tick stays pending in the PIC.
    GATE64 0x20, no_eoi
    mov ebp, ebx
    sti
1:  cmp ebx, ebp
    je 1b
    mov ecx, 3000000
2:  loop 2b
    cli
    sub ebx, ebp
    EQ64 rbx, 1
    PASS64
tick:
    inc ebx
    mov al, 0x20
    out 0x20, al
    iretq
no_eoi:
    inc ebx
    iretq
