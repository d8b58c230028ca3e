# The keyboard controller's command 0xFE resets the computer.
# expect: reset
.include "long.inc"
main:
1:  in al, 0x64
    test al, 2                      # its input buffer is full
    jnz 1b
    mov al, 0xfe
    out 0x64, al
    mov ecx, 1000000
1:  pause
    loop 1b
    FAIL64
