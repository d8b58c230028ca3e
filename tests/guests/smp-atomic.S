# Locked instructions on four CPUs at once, each kind in a hot loop of its own: nothing is lost, every old value is
# seen once, flags belong to the CPU's own operation; sizes of 1 to 16 bytes, within a line, across lines, across pages;
# XCHG without LOCK; a lock by BTS, CMPXCHG and XADD (tickets) around plain code.
# cpus: 4
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set CPUS, 4
.set COUNT, 3000
.set A, DATA                        # the operands, by their alignment
.set LINE, DATA+0x400-3             # across lines
.set EDGE, DATA+0x2000-3            # across pages
.set SUMS, DATA+0x3000              # what was seen, summed up by all
.set PHASE, DATA+0x3400
.set READY, DATA+0x3440
.set IDS, DATA+0x3480
.set BITS, DATA+0x4000              # a bit for every operation
.set PLAIN, DATA+0x5000
main:
    APIC_ENABLE
    mov qword ptr [IDS], 1
    .irp id, 1, 2, 3
    SMP_START \id, other
    WAIT_FOR [IDS], \id+1
    .endr
    call work
    .set at, 0
    .irp place, A, LINE, EDGE
    EQ64 [\place], CPUS*COUNT       # XADD: total, and the sum of what was there before
    EQ64 [SUMS+at], CPUS*COUNT*(CPUS*COUNT-1)/2
    EQ64 [\place+64], CPUS*COUNT    # CMPXCHG
    mov eax, [\place+128]           # INC and DEC of 4 bytes
    EQ64 rax, 0
    movzx eax, word ptr [\place+192] # ADD and SUB of 2 bytes, and of 1
    EQ64 rax, (CPUS*COUNT*3)&0xffff
    movzx eax, byte ptr [\place+256]
    EQ64 rax, (0-CPUS*COUNT)&0xff
    EQ64 [\place+320], 0            # XOR, NOT and NEG twice
    .set at, at+8
    .endr
    EQ64 [SUMS+24], CPUS*COUNT      # BTS has won each bit once
    EQ64 [SUMS+32], CPUS*COUNT      # and BTR
    EQ64 [SUMS+40], 1               # DEC has seen one zero
    EQ64 [A+384], CPUS*COUNT        # CMPXCHG8B and CMPXCHG16B: both halves
    mov eax, [A+400]
    EQ64 rax, CPUS*COUNT
    mov eax, [A+404]
    EQ64 rax, CPUS*COUNT
    EQ64 [A+392], 2*CPUS*COUNT
    EQ64 [PLAIN], 3*CPUS*COUNT      # under the locks
    mov rax, [A+448]                # tokens swapped by XCHG: none lost, none twice
    add rax, [SUMS+48]
    EQ64 rax, CPUS*COUNT*(CPUS*COUNT+1)/2
    PASS64
other:
    mov r15d, 1
    lock xadd [IDS], r15
    call go
1:  cli
    hlt
    jmp 1b
work:
    xor r15d, r15d
# R15: the CPU's number. Each part begins together.
.macro PART
    lock inc qword ptr [READY]
    .set phase, phase+1
.Lwait\@:
    pause
    cmp qword ptr [READY], phase*CPUS
    jb .Lwait\@
    mov ebp, COUNT
    xor r8d, r8d
.Lpart\@:
.endm
.macro AGAIN label
    dec ebp
    jnz \label
.endm
.set phase, 0
go:
    .set at, 0
    .irp place, A, LINE, EDGE
    PART
1:  mov eax, 1
    lock xadd [\place], rax
    add r8, rax
    AGAIN 1b
    lock add [SUMS+at], r8
    .set at, at+8
    PART
1:  mov rax, [\place+64]
2:  lea rcx, [rax+1]
    lock cmpxchg [\place+64], rcx
    jne 2b
    AGAIN 1b
    PART
1:  lock inc dword ptr [\place+128]
    lock dec dword ptr [\place+128]
    AGAIN 1b
    PART
1:  lock add word ptr [\place+192], 5
    lock sub word ptr [\place+192], 2
    lock sub byte ptr [\place+256], 1
    AGAIN 1b
    PART
1:  lea rcx, [rbp+0x12345678]
    lock xor [\place+320], rcx
    lock not qword ptr [\place+320]
    lock xor [\place+320], rcx
    lock not qword ptr [\place+320]
    AGAIN 1b
    .endr
    # Bits: all CPUs try for the same ones.
    PART
    mov ebp, CPUS*COUNT-1
1:  lock bts [BITS], rbp
    setnc al
    movzx eax, al
    add r8, rax
    dec ebp
    jns 1b
    lock add [SUMS+24], r8
    PART
    mov ebp, CPUS*COUNT-1
1:  lock btr [BITS], rbp
    setc al
    movzx eax, al
    add r8, rax
    dec ebp
    jns 1b
    lock add [SUMS+32], r8
    # A count down to zero, which one sees
    test r15d, r15d
    jnz 1f
    mov qword ptr [A+512], CPUS*COUNT
1:  PART
1:  lock dec qword ptr [A+512]
    setz al
    movzx eax, al
    add r8, rax
    AGAIN 1b
    lock add [SUMS+40], r8
    # Wide ones
    PART
1:  mov rax, [A+384]
    mov rdx, [A+392]
2:  lea rbx, [rax+1]
    lea rcx, [rdx+2]
    lock cmpxchg16b [A+384]
    jne 2b
    mov eax, [A+400]
    mov edx, [A+404]
2:  lea ebx, [rax+1]
    lea ecx, [rdx+1]
    lock cmpxchg8b [A+400]
    jne 2b
    AGAIN 1b
    # Tokens 1 to CPUS*COUNT change hands.
    PART
1:  imul eax, r15d, COUNT
    add eax, ebp
    xchg [A+448], rax
    add r8, rax
    AGAIN 1b
    lock add [SUMS+48], r8
    # Locks
    PART
1:  lock bts dword ptr [A+576], 7
    jnc 3f
2:  pause
    bt dword ptr [A+576], 7
    jc 2b
    jmp 1b
3:  inc qword ptr [PLAIN]
    mov dword ptr [A+576], 0
    AGAIN 1b
    PART
1:  xor eax, eax
    mov ecx, 1
    lock cmpxchg [A+640], ecx
    je 3f
    pause
    jmp 1b
3:  inc qword ptr [PLAIN]
    mov dword ptr [A+640], 0
    AGAIN 1b
    PART
    mov ebp, COUNT/10               # each a hand-over
1:  mov eax, 1
    lock xadd [A+704], ax
2:  cmp [A+706], ax
    je 3f
    pause
    jmp 2b
3:  add qword ptr [PLAIN], 10
    inc word ptr [A+706]
    AGAIN 1b
    PART
    ret
