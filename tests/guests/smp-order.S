# Memory order between two CPUs: stores are seen in order (message passing), and with a fence or a locked instruction
# store buffering does not show.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set ROUNDS, 2000                # each a hand-over, slow where two CPUs share one host core
.set X, DATA
.set Y, DATA+64
.set R1, DATA+128
.set R2, DATA+192
.set ROUND, DATA+256
.set REPLY, DATA+320
.set FLAG, DATA+384
.set PAYLOAD, DATA+448
main:
    APIC_ENABLE
    SMP_START 1, second
    # Message passing: each flag must come with its payload.
    mov ebx, 1
1:  mov [PAYLOAD], rbx
    mov [FLAG], rbx
    inc ebx
    cmp ebx, ROUNDS
    jne 1b
    WAIT_FOR [REPLY], ROUNDS-1
    EQ64 [R2+8], 0                  # payloads that were older than their flag
    # Store buffering with MFENCE
    mov qword ptr [REPLY], 0
    mov ebx, 1
2:  mov qword ptr [X], 0
    mov qword ptr [Y], 0
    mov [ROUND], rbx
    mov qword ptr [X], 1
    mfence
    mov rax, [Y]
    mov [R1], rax
3:  pause
    cmp [REPLY], rbx
    jne 3b
    mov rax, [R1]
    or rax, [R2]
    jz bad
    inc ebx
    cmp ebx, ROUNDS
    jne 2b
    PASS64
bad:
    FAIL64
second:
    xor ebx, ebx
1:  mov rax, [FLAG]
    mov rcx, [PAYLOAD]
    cmp rcx, rax
    jae 2f
    inc qword ptr [R2+8]
2:  cmp rax, ROUNDS-1
    jne 1b
    mov [REPLY], rax
3:  cmp qword ptr [REPLY], 0
    jne 3b
    mov ebx, 1
4:  pause
    cmp [ROUND], rbx
    jne 4b
    mov qword ptr [Y], 1
    lock or dword ptr [rsp], 0
    mov rax, [X]
    mov [R2], rax
    mov [REPLY], rbx
    inc ebx
    cmp ebx, ROUNDS
    jne 4b
5:  cli
    hlt
    jmp 5b
