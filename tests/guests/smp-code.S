# Cross-modifying code: one CPU changes an instruction that the other one runs in a loop; after the change is announced
# and the runner has serialized, the new one runs.
# cpus: 2
# differs: qemu: it may translate the old code again just before the store
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set CODE, DATA                     # MOV EAX, imm32; RET
main:
    APIC_ENABLE
    mov byte ptr [CODE], 0xb8
    mov dword ptr [CODE+1], 0
    mov byte ptr [CODE+5], 0xc3
    SMP_START 1, second
    mov ebx, 1
1:  mov [CODE+1], ebx
    mov [RESULTS], rbx              # announced
2:  pause
    cmp [RESULTS+8], rbx
    jne 2b
    EQ64 [RESULTS+16], rbx
    inc ebx
    cmp ebx, 2000
    jne 1b
    # The other way round: a loop that runs until its own jump is patched, without any announcement.
    mov qword ptr [RESULTS+24], 1
    DELAY
    mov word ptr [spin_here], 0x9090
    WAIT_FOR [RESULTS+8], 0x77
    PASS64
second:
    mov ebx, 1
1:  pause
    mov eax, CODE
    call rax                        # runs the old one again and again meanwhile
    cmp [RESULTS], rbx
    jne 1b
    push rbx
    xor eax, eax
    cpuid                           # serializes
    pop rbx
    mov eax, CODE
    call rax
    mov [RESULTS+16], rax
    mov [RESULTS+8], rbx
    inc ebx
    cmp ebx, 2000
    jne 1b
2:  cmp qword ptr [RESULTS+24], 1
    jne 2b
    .balign 16
spin_here:
    jmp spin_here
    mov qword ptr [RESULTS+8], 0x77
3:  cli
    hlt
    jmp 3b
