# The keyboard controller as far as probing kernels go: status, self-test, command byte, the pulse and write-output
# commands that do nothing harmful.
# expect: exit=0x10
.include "long.inc"
.macro COMMAND value
1:  in al, 0x64
    test al, 2
    jnz 1b
    mov al, \value
    out 0x64, al
.endm
.macro ANSWER
    mov ecx, 1000000
1:  in al, 0x64
    test al, 1
    jnz 2f
    loop 1b
    FAIL64
2:  in al, 0x60
    movzx eax, al
.endm
main:
    mov ecx, 64                     # drain
1:  in al, 0x64
    test al, 1
    jz 2f
    in al, 0x60
    loop 1b
2:  COMMAND 0xaa
    ANSWER
    EQ64 rax, 0x55
    in al, 0x64
    and eax, 0x01
    EQ64 rax, 0                     # empty again
    COMMAND 0xab                    # keyboard interface test
    ANSWER
    EQ64 rax, 0
    COMMAND 0x60                    # write the command byte: keyboard off, no interrupts
    mov al, 0x30
    out 0x60, al
    COMMAND 0x20
    ANSWER
    and eax, 0x33
    EQ64 rax, 0x30
    COMMAND 0xff                    # pulses no line
    COMMAND 0xad
    PASS64
