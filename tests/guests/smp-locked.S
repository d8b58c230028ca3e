# Two CPUs add to the same quadword with locked instructions: not one addition is lost; XCHG, CMPXCHG, XADD, INC, BTS
# loops, and a counter that lies across a cache line.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set COUNT, 20000
.set A, DATA
.set B, DATA+64
.set C, DATA+128
.set D, DATA+192-4                  # across the line
.set E, DATA+0x1000-4               # across the page
.set LOCK, DATA+320
.set PLAIN, DATA+384
.set READY, DATA+448
.set DONE, DATA+512
main:
    APIC_ENABLE
    SMP_START 1, second
    call work
    WAIT_FOR [DONE], 2
    EQ64 [A], 2*COUNT
    EQ64 [B], 2*COUNT
    EQ64 [C], 2*COUNT
    EQ64 [D], 2*COUNT
    EQ64 [E], 2*COUNT
    EQ64 [PLAIN], 2*COUNT
    EQ64 [C+16], 2*COUNT
    EQ64 [C+24], 2*COUNT
    PASS64
second:
    call work
1:  cli
    hlt
    jmp 1b
work:
    lock inc qword ptr [READY]
1:  pause
    cmp qword ptr [READY], 2
    jne 1b
    mov ebp, COUNT
1:  lock inc qword ptr [A]
    mov eax, 1
    lock xadd [B], rax
    mov rax, [C]
2:  lea rcx, [rax+1]
    lock cmpxchg [C], rcx
    jne 2b
    lock add qword ptr [D], 1
    lock add qword ptr [E], 1
    # A lock by XCHG, or by BTS, around plain additions
3:  mov eax, 1
    xchg [LOCK], eax
    test eax, eax
    jnz 3b
    inc qword ptr [PLAIN]
    mov dword ptr [LOCK], 0
    # Both halves of sixteen bytes at once
    mov rax, [C+16]
    mov rdx, [C+24]
4:  lea rbx, [rax+1]
    lea rcx, [rdx+1]
    lock cmpxchg16b [C+16]
    jne 4b
    dec ebp
    jnz 1b
    lock inc qword ptr [DONE]
    ret
