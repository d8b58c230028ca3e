# The IOAPIC's finer points: a level that is up when the mask
# goes comes through, NMI and logical delivery, and read-only bits.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "ioapic.inc"
.macro UART_INTERRUPT on
    mov dx, 0x3f9
    mov al, 2*\on
    out dx, al
.endm
main:
    APIC_ENABLE
    mov dx, 0x3fc
    mov al, 8
    out dx, al
    GATE64 0x51, uart
    GATE64 2, nmi
    # Read-only bits: delivery status and remote IRR can't be written.
    IOAPIC_WRITE 0x10+8, 0x1ffff
    IOAPIC_READ 0x10+8
    and eax, 0x5000
    EQ64 rax, 0
    # A level that is up while masked
    xor ebx, ebx
    IOAPIC_ROUTE 4, 0x51+IOAPIC_LEVEL+IOAPIC_MASKED
    UART_INTERRUPT 1
    LET_IN
    EQ64 rbx, 0
    IOAPIC_ROUTE 4, 0x51+IOAPIC_LEVEL
    LET_IN
    EQ64 rbx, 1
    # Logical destination
    APIC_WRITE APIC_LDR, 0x08000000
    IOAPIC_ROUTE 4, 0x51+IOAPIC_LEVEL+0x800, 8
    UART_INTERRUPT 1
    LET_IN
    EQ64 rbx, 2
    # to nobody
    IOAPIC_ROUTE 4, 0x51+IOAPIC_LEVEL+0x800, 4
    UART_INTERRUPT 1
    LET_IN
    EQ64 rbx, 2
    UART_INTERRUPT 0
    mov dx, 0x3fa
    in al, dx
    # NMI, edge: through whatever IF is
    IOAPIC_ROUTE 4, 0x400, 0
    xor esi, esi
    UART_INTERRUPT 1
    mov ecx, 1000
1:  loop 1b
    EQ64 rsi, 1
    UART_INTERRUPT 0
    mov dx, 0x3fa
    in al, dx
    # Edge: one interrupt for one rise
    IOAPIC_ROUTE 4, 0x52
    GATE64 0x52, edge
    UART_INTERRUPT 1
    LET_IN
    LET_IN
    EQ64 rbx, 3
    PASS64
uart:
    push rax
    push rdx
    inc ebx
    UART_INTERRUPT 0
    mov dx, 0x3fa
    in al, dx
    APIC_EOI_NOW
    pop rdx
    pop rax
    iretq
edge:
    push rdx
    inc ebx
    APIC_EOI_NOW
    pop rdx
    iretq
nmi:
    inc esi
    iretq
