# Single-stepping in real mode, over INT, REP and the instruction after a load of SS.
# expect: exit=0x10
.include "real.inc"
main:
    mov word ptr [4], offset step
    mov word ptr [0x60*4], offset handler
    mov di, RESULTS
    push 2+EFLAGS_TF
    popf
one:
    nop
two:
    int 0x60                        # TF is clear in the handler; IRET brings it back
three:
    mov cx, 3
four:
    rep lodsb                       # a trap for each iteration
five:
    mov ax, ss
six:
    mov ss, ax                      # no trap before the next instruction is over
    nop
seven:
    push 2
eight:
    popf
nine:
    mov bx, RESULTS
.macro STEPPED where
    EQ16 [bx], "offset \where"
    add bx, 2
.endm
    STEPPED two
    STEPPED four                    # IRET set TF: the first trap comes after the next instruction
    STEPPED four                    # REP LODSB with CX = 2 and 1 left
    STEPPED four
    STEPPED five                    # CX 0
    STEPPED six
    STEPPED seven
    STEPPED eight
    STEPPED nine
    EQ16 di, bx
    PASS16
handler:
    nop
    iret
step:
    push bp
    push ax
    mov bp, sp
    mov ax, [bp+4]
    mov [di], ax
    add di, 2
    pop ax
    pop bp
    iret
