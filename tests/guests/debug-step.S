# TF: a trap after each instruction, with DR6.BS; not after the one that sets TF; the handler runs with TF clear.
# expect: exit=0x10
.include "long.inc"
main:
    GATE64 1, step
    xor ebx, ebx
    xor eax, eax
    mov dr6, rax
    push 2+EFLAGS_TF
    popfq
one:
    nop
two:
    add ecx, 5
three:
    push 2
four:
    popfq                           # clears TF, yet its own trap comes: TF was set before
five:
    nop
    EQ64 rbx, 4
    EQ64 [RESULTS], "offset two"
    EQ64 [RESULTS+8], "offset three"
    EQ64 [RESULTS+16], "offset four"
    EQ64 [RESULTS+24], "offset five"
    PASS64
step:
    mov rax, [rsp]
    mov [RESULTS+rbx*8], rax
    inc ebx
    pushfq
    pop rax
    and eax, EFLAGS_TF
    EQ64 rax, 0
    mov rax, dr6
    mov esi, 0xffff4ff0             # BS and the bits that read as one
    EQ64 rax, rsi
    xor eax, eax
    mov dr6, rax
    iretq
