# Page walks set accessed and dirty bits with locked operations: another CPU that changes other bits of the entries at
# the same time loses nothing.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set E1, PT_LOW+(DATA>>12)*8
main:
    APIC_ENABLE
    SMP_START 1, second
    WAIT_FOR [RESULTS], 1
    mov ebp, 30000
1:  lock and qword ptr [E1], ~(A_+D_)
    invlpg [DATA]
    mov eax, [DATA]
    mov [DATA], eax
    mov rax, [E1]
    and eax, A_+D_
    cmp eax, A_+D_
    jne bad
    dec ebp
    jnz 1b
    mov qword ptr [RESULTS+8], 1    # stop
    WAIT_FOR [RESULTS], 2
    EQ64 [RESULTS+16], 0
    PASS64
bad:
    FAIL64
second:
    mov qword ptr [RESULTS], 1
    xor ebx, ebx
1:  mov ecx, 8
2:  lock btc qword ptr [E1], 9      # bits for software
    setc al
    cmp al, bl
    je 3f
    inc qword ptr [RESULTS+16]      # somebody undid it
    mov bl, al
3:  xor bl, 1
    loop 2b
    cmp qword ptr [RESULTS+8], 1
    jne 1b
    mov qword ptr [RESULTS], 2
4:  cli
    hlt
    jmp 4b
