# The IOAPIC: registers, an edge from the PIT on pin 2, masks and pending edges, a level from the UART on pin 4 with
# remote IRR until the EOI.
# differs: bochs: it shows no remote IRR
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "ioapic.inc"
main:
    APIC_ENABLE
    IOAPIC_READ 1
    movzx ebx, al
    cmp bl, 0x11
    jb bad
    cmp bl, 0x20
    ja bad
    shr eax, 16
    movzx eax, al
    EQ64 rax, 0x17                  # 24 pins
    IOAPIC_READ 0x10
    and eax, 0x10000
    EQ64 rax, 0x10000               # masked after a reset
    GATE64 0x50, tick
    GATE64 0x51, uart
    IOAPIC_ROUTE 2, 0x50
    mov al, 0x34                    # PIT, mode 2, 1 kHz
    out 0x43, al
    mov al, 0xa9
    out 0x40, al
    mov al, 4
    out 0x40, al
    xor ebx, ebx
    SLEEP_UNTIL 3
    # Masked: nothing comes.
    IOAPIC_ROUTE 2, 0x50+IOAPIC_MASKED
    LET_IN                          # what was on its way
    mov esi, ebx
    call wait
    EQ64 rbx, rsi
    # The UART, level: transmitter empty
    IOAPIC_ROUTE 4, 0x51+IOAPIC_LEVEL
    mov dx, 0x3fc
    mov al, 8                       # OUT2 lets the interrupt out
    out dx, al
    mov dx, 0x3f9
    mov al, 2
    out dx, al
    xor ebx, ebx
1:  LET_IN
    test ebx, ebx
    jz 1b
    EQ64 [RESULTS], IOAPIC_REMOTE_IRR
    EQ64 rbx, 2                     # not silenced the first time, so it came again after the EOI
    IOAPIC_READ 0x10+8
    and eax, IOAPIC_REMOTE_IRR
    EQ64 rax, 0
    PASS64
bad:
    FAIL64
wait:
    mov ecx, 1000
    sti
2:  mov al, 0                       # latch: takes a while on real buses
    out 0x43, al
    in al, 0x40
    in al, 0x40
    loop 2b
    cli
    ret
tick:
    push rdx
    inc ebx
    APIC_EOI_NOW
    pop rdx
    iretq
uart:
    push rax
    push rdx
    inc ebx
    IOAPIC_READ 0x10+8
    and eax, IOAPIC_REMOTE_IRR
    mov [RESULTS], rax
    cmp ebx, 2
    jb 1f
    mov dx, 0x3f9
    xor al, al
    out dx, al
1:  APIC_EOI_NOW
    pop rdx
    pop rax
    iretq
