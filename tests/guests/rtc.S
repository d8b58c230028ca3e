# The RTC: a plausible date in BCD, 24 hours, CMOS bytes that keep what is written, the update-ended, alarm and periodic
# flags with their interrupts, and a clock that can be set.
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
.macro BCD register, most
1:  READ 0x0a
    test al, 0x80
    jnz 1b
    READ \register
    cmp al, \most
    ja bad
    and al, 0xf
    cmp al, 9
    ja bad
.endm
main:
    READ 0x0d
    and eax, 0x80
    EQ64 rax, 0x80                  # the battery is fine
    READ 0x0b
    and eax, 6
    EQ64 rax, 2                     # 24 hours, BCD
    BCD 0, 0x59
    BCD 2, 0x59
    BCD 4, 0x23
    BCD 7, 0x31
    BCD 8, 0x12
    BCD 9, 0x99
    WRITE 0x50, 0xa5
    WRITE 0x51, 0x5a
    READ 0x50
    EQ64 rax, 0xa5
    # Periodic at 1024 Hz, with its interrupt: the flag and the sum
    WRITE 0x0a, 0x26
    WRITE 0x0b, 0x42
    READ 0x0c
1:  READ 0x0c
    test al, 0x40
    jz 1b
    and eax, 0xc0
    EQ64 rax, 0xc0
    # The update flag comes within a second.
    WRITE 0x0b, 0x12
    READ 0x0c
1:  READ 0x0c
    test al, 0x10
    jz 1b
    and eax, 0x90
    EQ64 rax, 0x90
    # An alarm at any second
    WRITE 1, 0xff
    WRITE 3, 0xff
    WRITE 5, 0xff
    WRITE 0x0b, 0x22
    READ 0x0c
1:  READ 0x0c
    test al, 0x20
    jz 1b
    and eax, 0xa0
    EQ64 rax, 0xa0
    WRITE 0x0b, 0x02
    # SET stops the clock and lets it be written.
    WRITE 0x0b, 0x82
    WRITE 0, 0x30
    WRITE 2, 0x59
    WRITE 4, 0x23
    READ 2
    EQ64 rax, 0x59
    WRITE 0x0b, 0x02
    READ 4
    EQ64 rax, 0x23
    PASS64
bad:
    FAIL64
