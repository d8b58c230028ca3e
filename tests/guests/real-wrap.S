# Offsets wrap at 64 KiB in 16-bit code: effective addresses, the stack pointer, string pointers and IP.
# expect: exit=0x10
.include "real.inc"
main:
    mov ax, 0x2000
    mov ds, ax
    mov es, ax
    mov byte ptr [0x0010], 0x5a
    mov bx, 0xfff0
    mov si, 0x20
    mov al, [bx+si]                 # 0x10010 wraps to 0x0010
    xor ah, ah
    EQ16 ax, 0x5a
    lea ax, [bx+si+2]
    EQ16 ax, 0x12
    # PUSH with SP = 0 writes at 0xfffe.
    mov ax, 0x3000
    mov ss, ax
    xor sp, sp
    push 0x1234
    mov bx, sp
    EQ16 bx, 0xfffe
    mov dx, ss:[bx]
    pop cx
    mov bx, sp
    EQ16 bx, 0
    EQ16 cx, 0x1234
    EQ16 dx, 0x1234
    mov ss, cs:[zero16]
    mov sp, BOOT_STACK
    # STOSB past the end
    cld
    mov di, 0xfffe
    mov al, 0x77
    mov cx, 4
    rep stosb
    EQ16 di, 2
    EQ16 [0], 0x7777
    EQ16 [0xfffe], 0x7777
    # LODSB backwards past the start
    std
    xor si, si
    lodsb
    cld
    EQ16 si, 0xffff
    # IP: a short jump across the end of the segment
    mov byte ptr es:[0xfffd], 0xeb  # jmp +0x10 at 0xfffd goes to 0x000f
    mov byte ptr es:[0xfffe], 0x10
    mov byte ptr es:[0x000f], 0xcb  # RETF
    push cs
    push offset back
    push 0x2000
    push 0xfffd
    retf
back:
    mov bx, sp
    EQ16 bx, BOOT_STACK
    PASS16
