# The RTC's periodic and update flags come without their interrupts as well: who polls register C need not enable anything.
# differs: qemu: the periodic flag needs its enable bit
# differs: bochs: the periodic flag needs its enable bit
# expect: exit=0x10
.include "long.inc"
.macro READ register
    mov al, \register
    out 0x70, al
    in al, 0x71
    movzx eax, al
.endm
.macro WRITE register, value
    mov al, \register
    out 0x70, al
    mov al, \value
    out 0x71, al
.endm
main:
    WRITE 0x0a, 0x26
    WRITE 0x0b, 0x02
    READ 0x0c
1:  READ 0x0c
    test al, 0x40
    jz 1b
    and eax, 0x80
    EQ64 rax, 0                     # PF, but no IRQF
    READ 0x0c
1:  READ 0x0c
    test al, 0x40
    jz 1b                           # and again
1:  READ 0x0c
    test al, 0x10                   # the update's
    jz 1b
    PASS64
