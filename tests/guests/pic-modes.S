# The PIC's finer points: automatic EOI, the poll command, and what initialization forgets.
# differs: bochs: the poll command takes nothing into service
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "pic.inc"
.macro TICK
    mov al, 0x30                    # mode 0: one edge
    out 0x43, al
    mov al, 0x20
    out 0x40, al
    xor al, al
    out 0x40, al
1:  mov al, 0x0a
    out 0x20, al
    in al, 0x20
    test al, 1
    jz 1b
.endm
main:
    # Poll: without any interrupt to the CPU, the highest request is told and taken into service
    PIC_INIT 0xff, 0xff
    TICK
    mov al, 0xfe
    out 0x21, al
    mov al, 0x0c
    out 0x20, al
    in al, 0x20
    movzx eax, al
    EQ64 rax, 0x80
    mov al, 0x0b
    out 0x20, al
    in al, 0x20
    movzx eax, al
    EQ64 rax, 1                     # in service
    mov al, 0x60
    out 0x20, al
    mov al, 0x0c
    out 0x20, al
    in al, 0x20
    and eax, 0x80
    EQ64 rax, 0                     # nothing left
    # Automatic EOI
    VIRTUAL_WIRE
    PIC_INIT 0xff, 0xff
    mov al, 0x11
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 3                       # AEOI
    out 0x21, al
    mov al, 0xff
    out 0x21, al
    GATE64 0x20, tick
    xor ebx, ebx
    TICK
    mov al, 0xfe
    out 0x21, al
    LET_IN
    EQ64 rbx, 1
    mov al, 0x0b
    out 0x20, al
    in al, 0x20
    movzx eax, al
    EQ64 rax, 0
    mov al, 0xff
    out 0x21, al
    TICK
    mov al, 0xfe
    out 0x21, al
    LET_IN
    EQ64 rbx, 2                     # without any EOI
    # ICW1 clears the mask and what was pending.
    mov al, 0xff
    out 0x21, al
    TICK
    PIC_INIT 0xfe, 0xff
    LET_IN
    EQ64 rbx, 2
    PASS64
tick:
    inc ebx
    iretq
