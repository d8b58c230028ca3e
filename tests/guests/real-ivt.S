# INT n in real mode: the vector is fetched from the IVT, FLAGS, CS and IP are pushed, IF and TF are cleared,
# and IRET restores all of it.
# expect: exit=0x10
.include "real.inc"
.set FLAGS, 0xed7                   # OF DF IF SF ZF AF PF CF and the fixed bit 1
main:
    mov word ptr [0x60*4], offset handler
    mov word ptr [0x60*4+2], 0
    push FLAGS
    popf
    int 0x60
after:
    pushf
    cli
    cld
    pop bx
    EQ16 bx, FLAGS
    mov bx, sp
    EQ16 bx, BOOT_STACK
    # The frame as the handler found it.
    EQ16 [RESULTS], "offset after"
    EQ16 [RESULTS+2], 0
    EQ16 [RESULTS+4], FLAGS
    EQ16 dx, FLAGS-0x200            # in the handler IF alone has gone
    EQ16 cx, BOOT_STACK-6

    # A handler in another segment: CS comes from the upper word.
    mov word ptr [0x61*4], offset far_handler - 0x8000
    mov word ptr [0x61*4+2], 0x800
    int 0x61
    EQ16 si, 0x800
    PASS16

handler:
    pushf
    pop dx
    mov cx, sp
    mov bp, sp
    mov eax, [bp]
    mov [RESULTS], eax
    mov ax, [bp+4]
    mov [RESULTS+4], ax
    iret
far_handler:
    mov si, cs
    iret
