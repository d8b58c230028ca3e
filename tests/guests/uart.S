# The 16550 UART: scratch, divisor latch, loopback with data and modem lines, FIFO, and its interrupts' identification.
# differs: bochs: no transmitter interrupt in loopback
# expect: exit=0x10
.include "long.inc"
.set PORT, 0x3f8
.macro WRITE register, value
    mov dx, PORT+\register
    mov al, \value
    out dx, al
.endm
.macro READ register
    mov dx, PORT+\register
    xor eax, eax
    in al, dx
.endm
main:
    WRITE 7, 0x5a
    READ 7
    EQ64 rax, 0x5a
    WRITE 3, 0x83                   # DLAB, 8n1
    WRITE 0, 1
    WRITE 1, 0
    READ 0
    EQ64 rax, 1
    WRITE 3, 3
    READ 3
    EQ64 rax, 3
    WRITE 1, 0
    WRITE 2, 7                      # FIFO on and clear
    READ 2
    EQ64 rax, 0xc1                  # nothing pending
    READ 5
    and eax, 0x61
    EQ64 rax, 0x60                  # empty both ways
    # Loopback
    WRITE 4, 0x10
    READ 6
    and eax, 0xf0
    EQ64 rax, 0
    WRITE 4, 0x1f
    READ 6
    and eax, 0xf0
    EQ64 rax, 0xf0
    WRITE 4, 0x12                   # RTS
    READ 6
    and eax, 0xf0
    EQ64 rax, 0x10                  # CTS
    WRITE 0, 0x41
1:  READ 5
    test al, 1
    jz 1b
    READ 0
    EQ64 rax, 0x41
    READ 5
    and eax, 1
    EQ64 rax, 0
    # Interrupts: received data before transmitter empty
    WRITE 1, 3
    WRITE 0, 0x42
1:  READ 5
    test al, 1
    jz 1b
    READ 2
    and eax, 0xf
    EQ64 rax, 4                     # data
    READ 0
    EQ64 rax, 0x42
1:  READ 2
    and eax, 0xf
    cmp al, 2                       # transmitter empty; reading it takes it away
    jne 1b
    READ 2
    and eax, 0xf
    EQ64 rax, 1
    WRITE 1, 0
    WRITE 4, 0
    PASS64
