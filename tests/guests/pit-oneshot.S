# The PIT's mode 0: one interrupt for each count that is written, and HLT sleeps until then.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "pic.inc"
main:
    VIRTUAL_WIRE
    PIC_INIT 0xfe, 0xff
    GATE64 0x20, tick
    xor ebx, ebx
    .set n, 1
    .rept 3
    mov al, 0x30
    out 0x43, al
    mov al, 0xe8
    out 0x40, al
    mov al, 3
    out 0x40, al
    SLEEP_UNTIL n
    .set n, n + 1
    .endr
    # No more without another count
    mov ecx, 20000
    sti
1:  in al, 0x40
    loop 1b
    cli
    EQ64 rbx, 3
    # The low byte alone
    mov al, 0x10
    out 0x43, al
    mov al, 0xff
    out 0x40, al
    SLEEP_UNTIL 4
    PASS64
tick:
    push rax
    inc ebx
    mov al, 0x20
    out 0x20, al
    pop rax
    iretq
