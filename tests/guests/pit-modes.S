# The PIT: latch and read-back commands, access modes, mode 0 on channel 2 with its gate and output at port 0x61, mode 2
# and 3 counting.
# differs: qemu: the gate does not stop mode 0
# expect: exit=0x10
.include "long.inc"
.macro OUTB port, value
    mov al, \value
    out \port, al
.endm
.macro STATUS channel
    mov al, 0xe0 | (2 << \channel)  # read-back of the status
    out 0x43, al
    in al, 0x40+\channel
    movzx eax, al
.endm
.macro COUNT channel
    mov al, \channel << 6           # latch
    out 0x43, al
    in al, 0x40+\channel
    mov ah, al
    in al, 0x40+\channel
    xchg al, ah
    movzx eax, ax
.endm
main:
    # Channel 2, mode 0: the output rises at the end, the gate stops it.
    OUTB 0x61, 0                     # gate off
    OUTB 0x43, 0xb0
    OUTB 0x42, 0x00
    OUTB 0x42, 0x10
    STATUS 2
    and eax, 0xbf                   # OUT low, mode 0, both bytes; the null count may be set
    EQ64 rax, 0x30
    in al, 0x61
    and eax, 0x20
    EQ64 rax, 0
    COUNT 2
    mov esi, eax
    mov ecx, 10000
1:  loop 1b
    COUNT 2
    EQ64 rax, rsi                   # stopped
    OUTB 0x61, 1
1:  in al, 0x61
    test al, 0x20
    jz 1b
    STATUS 2
    and eax, 0xbf
    EQ64 rax, 0xb0
    # The latch holds until both bytes are read.
    OUTB 0x43, 0xb0
    OUTB 0x42, 0xff
    OUTB 0x42, 0xff
    OUTB 0x43, 0x80
    mov ecx, 10000
1:  loop 1b
    OUTB 0x43, 0x80                  # ignored: one is held
    in al, 0x42
    mov ah, al
    in al, 0x42
    xchg al, ah
    movzx esi, ax
    COUNT 2
    cmp eax, esi
    jae bad
    # The low byte alone
    OUTB 0x43, 0x90
    OUTB 0x42, 0x80
    STATUS 2
    and eax, 0x3f
    EQ64 rax, 0x10
    # Mode 2 on channel 0: reloads; mode 3 as well
    OUTB 0x43, 0x34
    OUTB 0x40, 0x00
    OUTB 0x40, 0x10
    STATUS 0
    and eax, 0x3f
    EQ64 rax, 0x34
    mov ecx, 200
1:  COUNT 0
    cmp eax, 0x1000
    ja bad
    loop 1b
    OUTB 0x43, 0x36
    OUTB 0x40, 0x00
    OUTB 0x40, 0x10
    mov ecx, 200
1:  COUNT 0
    cmp eax, 0x1000
    ja bad
    test al, 1                      # it counts by two
    jnz bad
    loop 1b
    # Read-back of count and status at once: the status comes first
    OUTB 0x43, 0xc2
    in al, 0x40
    and eax, 0x3f
    EQ64 rax, 0x36
    in al, 0x40
    in al, 0x40
    PASS64
bad:
    FAIL64
