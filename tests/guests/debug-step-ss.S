# Single-stepping: MOV SS takes its successor along, REP traps at each iteration, INT n clears TF for its handler and
# does not trap itself, and IRET that sets TF traps one instruction later.
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
.macro STEPPED n, where
    EQ64 [RESULTS+8*\n], "offset \where"
.endm
main:
    GATE64 1, step
    GATE64 0x60, software
    mov eax, KDATA
    mov esi, DATA
    mov edi, DATA+0x100
    mov ecx, 2
    push 2+EFLAGS_TF
    popfq
    nop
s0: mov ss, eax
    nop
s1: rep movsb
s2: int 0x60
s3: nop
s4: push 2
s5: popfq
s6: EQ64 rbx, 7
    STEPPED 0, s0
    STEPPED 1, s1
    STEPPED 2, s1
    STEPPED 3, s2
    STEPPED 4, s4                   # IRET set TF: one instruction later
    STEPPED 5, s5
    STEPPED 6, s6
    PASS64
step:
    push rax
    mov rax, [rsp+8]
    mov [RESULTS+rbx*8], rax
    inc ebx
    pop rax
    iretq
software:
    nop
    iretq
