# The PIT against the RTC: channel 0 at 100 Hz gives about a hundred interrupts a second.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "pic.inc"
.macro SECONDS
1:  mov al, 0x0a
    out 0x70, al
    in al, 0x71
    test al, 0x80                   # update in progress
    jnz 1b
    mov al, 0
    out 0x70, al
    in al, 0x71
.endm
main:
    VIRTUAL_WIRE
    PIC_INIT 0xfe, 0xff
    GATE64 0x20, tick
    mov al, 0x34
    out 0x43, al
    mov al, 0x9c                    # 11932
    out 0x40, al
    mov al, 0x2e
    out 0x40, al
    xor ebx, ebx
    SECONDS
    mov ah, al
2:  SECONDS
    cmp al, ah
    je 2b
    mov ah, al
    sti
2:  SECONDS
    cmp al, ah
    je 2b
    cli
    cmp ebx, 50
    jb bad
    cmp ebx, 150
    ja bad
    PASS64
bad:
    FAIL64
tick:
    push rax
    inc ebx
    mov al, 0x20
    out 0x20, al
    pop rax
    iretq
