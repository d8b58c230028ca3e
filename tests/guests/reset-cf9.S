# The reset port: 0xCF9 with 6 resets the computer.
# expect: reset
.include "long.inc"
main:
    mov dx, 0xcf9
    mov al, 2
    out dx, al
    mov al, 6
    out dx, al
    mov ecx, 1000000
1:  pause
    loop 1b
    FAIL64
