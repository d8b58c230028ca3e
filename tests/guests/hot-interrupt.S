# A hot loop that the APIC's timer interrupts, and whose handler then single-steps it, sets a write breakpoint on what it
# stores or a code breakpoint on one of its instructions. Each step comes behind the next instruction, each breakpoint
# where it belongs, and the loop's result is always that of an undisturbed run.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "debug.inc"
.set ROUNDS, 5000
.set WATCHED, DATA+0x1000
.set TICKS, DATA                    # counters, and what the handlers remember
.set STEPS, DATA+8
.set WRITES, DATA+16
.set HITS, DATA+24
.set LEFT, DATA+32                  # steps to go
.set LAST, DATA+40                  # number of the instruction stepped to
.set EXPECTED, DATA+48
.set LOOP_SP, DATA+56
.set ARMED, DATA+64                 # kind of breakpoint that is set: 0, WATCH or BREAK, and how often it may come yet
.set RESULT, DATA+72

.set instructions, 0
.macro I insn:vararg
.Linsn\@:
    .pushsection .rodata
    .quad .Linsn\@
    .popsection
    .set instructions, instructions+1
    \insn
.endm
.pushsection .rodata
.balign 8
table:
.popsection
main:
    APIC_ENABLE
    mov [LOOP_SP], rsp
    call work
    mov [EXPECTED], rax
    call work
    EQ64 rax, [EXPECTED]
    GATE64 1, debug
    GATE64 0x40, tick
    APIC_WRITE APIC_TIMER_DIVIDE, 0xb
    APIC_WRITE APIC_LVT_TIMER, 0x20040
    APIC_WRITE APIC_TIMER_INITIAL, 150000
again:
    sti
    call work
    cli
    EQ64 rax, [EXPECTED]
    cmp qword ptr [TICKS], 48
    jb again
    cmp qword ptr [HITS], 20
    jb again
    cmp qword ptr [WRITES], 20
    jb again
    cmp qword ptr [STEPS], 1000
    jb again
    APIC_WRITE APIC_LVT_TIMER, 0x10040
    BREAKPOINTS_OFF
    call work
    EQ64 rax, [EXPECTED]
    EQ64 [TRAP_COUNT], 0
    PASS64

# RAX: a sum over the rounds of arithmetic that chains flags and memory
work:
    mov ecx, ROUNDS
    mov eax, 1
    mov ebx, 0x9e3779b9
    xor esi, esi
    xor edi, edi
    mov r8d, 0x1234567
    mov qword ptr [WATCHED], 5
    mov qword ptr [WATCHED+8], 6
    clc
    .balign 16
loop_start:
    I adc rax, rbx
    I rcl rsi, 1
    I adc rdi, rax
    I xor r8, rdi
    I mov rdx, [WATCHED]
    I lea rdx, [rdx+rax*2+1]
    I mov [WATCHED], rdx
.set behind_store, instructions
    I adc [WATCHED+8], rdx
    I sbb rsi, r8
    I push rsi
    I ror rbx, 7
    I setc r9b
    I pop r10
    I movzx r9d, r9b
.set break_here, instructions
    I lea rdi, [rdi+r9]
    I cmp r10, rax
    I cmovb rax, r10
    I call helper
    I dec ecx
    I jnz loop_start
loop_end:
    add rax, rsi
    add rax, rdi
    add rax, rbx
    add rax, [WATCHED]
    add rax, [WATCHED+8]
    ret
# Flags that CALL and RET carry
helper:
    inc r8
    ret

# Stack: RIP, CS, RFLAGS, RSP, SS.
tick:
    push rax
    push rdx
    inc qword ptr [TICKS]
    APIC_EOI_NOW
    # One thing at a time, and only when the loop itself is interrupted
    mov rax, [LEFT]
    or rax, [ARMED]
    jnz 9f
    mov rax, [rsp+16]
    cmp rax, offset loop_start
    jb 9f
    cmp rax, offset loop_end
    jae 9f
    mov rax, [LOOP_SP]
    sub rax, [rsp+40]
    cmp rax, 24                     # work's frame, and the PUSH
    ja bad
    mov rax, [TICKS]
    and eax, 3
    jz 9f
    cmp eax, 2
    je 2f
    ja 3f
    # Single steps from here on
    or qword ptr [rsp+32], EFLAGS_TF
    mov qword ptr [LEFT], 75
    mov qword ptr [LAST], -1
    jmp 9f
2:  BREAKPOINT 0, WATCHED, WRITE, LEN8
    mov qword ptr [ARMED], 6
    jmp 9f
3:  mov rax, [table+8*break_here]
    mov dr1, rax
    mov rax, dr7
    and eax, 0xff0fffff
    or eax, LOCAL<<2
    mov dr7, rax
    mov qword ptr [ARMED], 6
9:  pop rdx
    pop rax
    iretq
bad:
    FAIL64

debug:
    push rax
    push rbx
    mov rax, dr6
    and eax, 0xe00f
    cmp eax, DR6_BS
    je step
    cmp eax, 1
    je write
    cmp eax, 2
    je hit
    FAIL64
step:
    inc qword ptr [STEPS]
    # The instruction's number: one more than last time, or the first one after the last one, or in the helper
    mov rax, [rsp+16]
    xor ebx, ebx
1:  cmp rax, [table+rbx*8]
    je 2f
    inc ebx
    cmp ebx, instructions
    jne 1b
    cmp rax, offset helper
    jb outside
    cmp rax, offset helper+3
    ja outside
    jmp 3f
2:  mov rax, [LAST]
    mov [LAST], rbx
    cmp rax, -1
    je 3f
    inc rax
    cmp rax, instructions
    jne 4f
    xor eax, eax
4:  EQ64 rbx, rax
3:  dec qword ptr [LEFT]
    jnz done
stop_steps:
    mov qword ptr [LEFT], 0
    and qword ptr [rsp+32], ~EFLAGS_TF
    jmp done
outside:
    EQ64 rax, "offset loop_end"
    jmp stop_steps
write:
    inc qword ptr [WRITES]
    mov rax, [rsp+16]
    cmp rax, [table+8*behind_store]
    je less
    cmp rax, offset loop_start      # `work` begins with a store
    jb less
    EQ64 rax, [table+8*behind_store]
    jmp less
hit:
    inc qword ptr [HITS]
    mov rax, [rsp+16]
    EQ64 rax, [table+8*break_here]
    or qword ptr [rsp+32], EFLAGS_RF
less:
    dec qword ptr [ARMED]
    jnz done
    BREAKPOINTS_OFF
    xor eax, eax                    # their bits in DR6 may come though they are off
    mov dr0, rax
    mov dr1, rax
done:
    xor eax, eax
    mov dr6, rax
    pop rbx
    pop rax
    iretq
