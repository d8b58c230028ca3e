# The TSCs of two CPUs never go backwards against each other.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set ROUNDS, 3000
.set TURN, DATA
.set STAMP, DATA+64
main:
    APIC_ENABLE
    SMP_START 1, second
    xor ebp, ebp
    call play
    EQ64 [RESULTS], 0
    PASS64
second:
    mov ebp, 1
    call play
1:  cli
    hlt
    jmp 1b
# RBP: whose turn to wait for
play:
    mov esi, ROUNDS
1:  pause
    cmp [TURN], rbp
    jne 1b
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    cmp rax, [STAMP]
    jae 2f
    inc qword ptr [RESULTS]
2:  mov [STAMP], rax
    mov rax, rbp
    xor eax, 1
    mov [TURN], rax
    dec esi
    jnz 1b
    ret
