# Hot code on two other CPUs, whose page the first one maps to another frame, announced by an interrupt that they answer with
# INVLPG or a load of CR3; and a function that it rewrites while they wait in an interrupt handler with interrupts off. What
# ran before never runs behind the answer.
# cpus: 3
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set ROUNDS, 40
.set CALLS, 500                     # by each CPU in each round, at least
.set PAGE, DATA+0x1000              # linear
.set E, PT_LOW+((PAGE)>>12)*8
.set FRAMES, DATA+0x10000           # two: MOV EAX, 0 or 1; RET
.set CODE, DATA+0x8000              # rewritten
.set NUMBER, DATA                   # of the round, what PAGE and CODE must give
.set ANSWERS, DATA+64
.set GO, DATA+128
.set WRONG, DATA+192
.set COUNTS, DATA+256
main:
    APIC_ENABLE
    .irp n, 0, 1
    mov byte ptr [FRAMES+0x1000*\n+0x100], 0xb8
    mov dword ptr [FRAMES+0x1000*\n+0x101], \n
    mov byte ptr [FRAMES+0x1000*\n+0x105], 0xc3
    .endr
    GATE64 0x41, remap
    GATE64 0x42, stop
    PTE PAGE, FRAMES+P_+RW
    xor ebx, ebx
    call rewrite
    SMP_START 1, second
    SMP_START 2, third
    mov ebx, 1
1:  # Until both are hot
    mov r8, [COUNTS]
    mov r9, [COUNTS+64]
    add r8, CALLS
    add r9, CALLS
2:  pause
    cmp qword ptr [WRONG], 0
    jne bad
    cmp [COUNTS], r8
    jb 2b
    cmp [COUNTS+64], r9
    jb 2b
    # They stop and wait; the code is rewritten, the page gets the other frame.
    mov qword ptr [GO], 0
    mov qword ptr [ANSWERS], 0
    APIC_WRITE APIC_ICR, 0xc4042    # to all others
    WAIT_FOR [ANSWERS], 2
    call rewrite
    mov eax, ebx
    and eax, 1
    shl eax, 12
    add eax, FRAMES+P_+RW
    mov [E], rax
    mov [NUMBER], rbx
    mov qword ptr [GO], 1
    mov qword ptr [ANSWERS], 0
    APIC_WRITE APIC_ICR, 0xc4041
    WAIT_FOR [ANSWERS], 2
    mov qword ptr [GO], 2
    inc ebx
    cmp ebx, ROUNDS
    jne 1b
    PASS64
bad:
    mov rax, [WRONG]
    EQ64 rax, [NUMBER]
    FAIL64

# CODE: a function that returns RBX, in three ways by turns
rewrite:
    mov eax, ebx
    xor edx, edx
    mov ecx, 3
    div ecx
    mov dword ptr [CODE+8], 0x909090c3
    cmp edx, 1
    je 1f
    ja 2f
    mov dword ptr [CODE], 0xb8909090 # NOPs; MOV EAX, n
    mov [CODE+4], ebx
    ret
1:  mov byte ptr [CODE], 0xb8
    mov [CODE+1], ebx
    mov dword ptr [CODE+5], 0x90c39090
    ret
2:  lea eax, [rbx-1]
    mov byte ptr [CODE], 0xb8       # MOV EAX, n-1; INC EAX; RET
    mov [CODE+1], eax
    mov dword ptr [CODE+5], 0x90c3c0ff
    ret

# Takes no notice of the number in between: answers only when the new page is in use.
stop:
    push rax
    push rbx
    push rcx
    push rdx
    mov edx, APIC
    mov dword ptr [rdx+APIC_EOI], 0
    lock inc qword ptr [ANSWERS]
1:  pause
    cmp qword ptr [GO], 0
    je 1b
    xor eax, eax
    cpuid
    # The interrupt for the page comes before anything else runs.
    sti
    nop
2:  pause
    cmp qword ptr [GO], 2
    jne 2b
    cli
    pop rdx
    pop rcx
    pop rbx
    pop rax
    iretq
remap:
    push rax
    push rdx
    test byte ptr [NUMBER], 2
    jz 1f
    invlpg [PAGE]
    jmp 2f
1:  mov rax, cr3
    mov cr3, rax
2:  mov edx, APIC
    mov dword ptr [rdx+APIC_EOI], 0
    lock inc qword ptr [ANSWERS]
    pop rdx
    pop rax
    iretq

second:
    mov ebp, COUNTS
    jmp 1f
third:
    mov ebp, COUNTS+64
1:  APIC_ENABLE
    mov r13d, CODE
2:  sti
    nop
    cli                             # no change within the next lines
    call r13
    mov r8, rax
    call PAGE+0x100
    mov r9, [NUMBER]
    inc qword ptr [rbp]
    cmp r8, r9
    jne 3f
    and r9d, 1
    cmp rax, r9
    je 2b
3:  mov [WRONG], r8
    cli
    hlt
