# Hot loops with branches that lead now here and now there, all of which come back: with what was pushed, compared and called
# before the branch, to other pages, with vector registers, by way of instructions that are left to others, and in a tree of
# several. One side's code is changed, another one's page gets another frame, a third one faults.
# expect: exit=0x10
.include "long.inc"
.include "frames.inc"
.set HOT, 1600
.set WARM, 80
.set TIMES, 40
.set POINTER, DATA+0x30000
.set ABSENT, DATA+0x50000
.set ALIAS, 0x40000000               # of all below 1 GiB

# A loop around something that adds to RBX, by what R15 is.
.macro LOOP rounds:req, what:vararg
    mov r15d, \rounds
    xor ebx, ebx
    .balign 16
.Lturn\@:
    \what
    dec r15d
    jnz .Lturn\@
.endm
# Has all that is known of this code forgotten: its pages are written.
.macro FORGET
    .irp at, main, three_ways, mostly_long
    mov al, [\at]
    mov [\at], al
    .endr
.endm
# What a fourth, a fourth and a half of the turns add.
.macro ADDED rounds:req, one:req, other:req, rest:req
    EQ64 rbx, \rounds/4*(\one)+\rounds/4*(\other)+\rounds/2*(\rest)
.endm
main:
    mov rax, cr4
    or eax, 0x600                   # OSFXSR, OSXMMEXCPT
    mov cr4, rax
    mov dword ptr [FRAME1+F], 0xc320c383        # ADD EBX, 32; RET
    mov dword ptr [FRAME2+F], 0xc340c383        # ADD EBX, 64; RET
    MAP FRAME1
    mov qword ptr [POINTER+8], 6
    mov qword ptr [POINTER+32], 2
    mov eax, 1
    movd xmm6, eax
    mov dword ptr [PDPT+8], PD_LOW+P_+RW
    mov r9d, ALIAS
    mov r10d, POINTER
    mov r14d, TIMES
1:  FORGET
    LOOP HOT, call three_ways
    ADDED HOT, 1, 100, 10000
    LOOP HOT, call carries
    ADDED HOT, 7, 8, 16
    LOOP HOT, call compares
    ADDED HOT, 3, 3, 12
    LOOP HOT, call calls_more
    ADDED HOT, 5, 25, 2
    pxor xmm5, xmm5
    LOOP HOT, call has_vectors
    ADDED HOT, 4, 64, 9
    movq rax, xmm5
    EQ64 rax, HOT
    LOOP HOT, call left_to_others
    ADDED HOT, 11, 14, 17
    LOOP HOT, call tree
    mov eax, HOT/8*(1+2+3+4+5+6+7+8)
    EQ64 rbx, rax
    LOOP HOT, call finds_stack_again
    ADDED HOT, 7, 7, 3
    call flags_around
    call without_calls
    call falls_back
    call mostly_long
    dec r14d
    jnz 1b

    # The stack is where it was, however it was left.
    mov rbp, rsp
    LOOP WARM, call three_ways
    mov rax, rsp
    EQ64 rax, rbp

    # One side's code is another one.
    mov r14d, TIMES
1:  mov byte ptr [changes+1], 9
    LOOP HOT, call changing
    ADDED HOT, 2, 2, 9
    mov byte ptr [changes+1], 5
    LOOP WARM, call changing
    ADDED WARM, 2, 2, 5
    dec r14d
    jnz 1b

    # One lies in another page, which gets another frame: at the branch, and behind a call.
    mov r14d, TIMES
1:  FORGET
    MAP FRAME1
    mov r13d, 32
    call all_there
    call all_there
    MAP FRAME2
    mov r13d, 64
    call all_there
    call all_there
    mov qword ptr [E], FRAME1+P_+RW
    mov rax, cr3
    mov cr3, rax
    mov r13d, 32
    call all_there
    dec r14d
    jnz 1b

    # One faults, with the stack and the flags of the way that led there.
    PTE ABSENT, 0
    mov r14d, TIMES
1:  FORGET
    mov r8d, POINTER
    mov r11d, POINTER
    LOOP HOT, call loads
    ADDED HOT, 6, 6, 1
    mov rbp, rsp
    EXPECT64 loads_not
    mov r11d, ABSENT
    LOOP HOT, call loads
    FAIL64
loads_not:
    mov r13, [rbp-24]               # before it is overwritten
    TRAPPED64 14, 0, load
    EQ64 [TRAP_CR2], ABSENT+8
    EQ64 r15, 1
    EQ64 rbx, HOT/2+(HOT/2-1)*6
    mov rax, [TRAP_SP]
    sub rax, rbp
    EQ64 rax, -24
    mov rax, [TRAP_FLAGS]
    and eax, 0x8d5
    EQ64 rax, 0x95                  # SF, AF and PF of 0 - 1, and the carry before it
    EQ64 r13, 77
    mov rsp, rbp
    # The same behind a comparison with memory, whose flags nobody wants.
    mov r8d, POINTER
    mov r11d, POINTER
    LOOP HOT, call loads_compared
    ADDED HOT, 6, 6, 1
    mov rbp, rsp
    EXPECT64 compared_not
    mov r11d, ABSENT
    LOOP HOT, call loads_compared
    FAIL64
compared_not:
    TRAPPED64 14, 0, load_compared
    EQ64 rbx, HOT/2+(HOT/2-1)*6
    mov rax, [TRAP_FLAGS]
    and eax, 0x8d5
    EQ64 rax, 0x44                  # ZF and PF
    mov rsp, rbp
    dec r14d
    jnz 1b
    PASS64

# All ways to what adds R13 in each second turn.
all_there:
    lea r12d, [r13+1]
    imul r12d, r12d, WARM/2
    LOOP WARM, call goes_there
    EQ64 rbx, r12
    LOOP WARM, call calls_there
    EQ64 rbx, r12
    LOOP WARM, call goes_at_once
    EQ64 rbx, r12
    ret
# Leaves by three ways, with more or less on the stack.
three_ways:
    push rsi
    test r15d, 1
    jz 1f
    sub rsp, 40
    mov [rsp+16], rbx
    test r15d, 2
    jz 2f
    add qword ptr [rsp+16], 100
    mov rbx, [rsp+16]
    add rsp, 40
    pop rsi
    ret
2:  inc qword ptr [rsp+16]
    mov rbx, [rsp+16]
    lea rsp, [rsp+40]
    pop rsi
    ret
1:  mov rsi, [rsp+8]
    add rbx, 10000
    mov [rsp+8], rsi
    pop rsi
    ret
# What a side does first looks at the flags of before the branch, behind an access.
carries:
    mov ecx, r15d
    and ecx, 3
    cmp ecx, 2
    ja 1f
    je 2f
    mov eax, [POINTER]
    adc rbx, 15                     # below
    ret
1:  mov eax, [POINTER]
    adc rbx, 7                      # above: none
    ret
2:  push rax
    pop rax
    adc rbx, 16                     # equal: none, and not even
    test ecx, 1
    jnz 3f
    sub rbx, 8
    ret
3:  ud2
# The same of memory, where code may be left in between.
compares:
    mov ecx, r15d
    and ecx, 3
    mov [POINTER+16], ecx
    cmp dword ptr [POINTER+16], 1
    ja 1f
    mov eax, [POINTER]
    sbb rbx, -3                     # 1: 3; 0: a borrow
    mov ecx, [POINTER+16]
    cmp ecx, 1
    adc rbx, 0
    ret
1:  mov eax, [POINTER]
    sbb rbx, -12
    ret
# Calls and is called on the way to a branch, and behind it.
calls_more:
    push rdi
    mov edi, r15d
    and edi, 3
    call is_two
    jz 1f
    cmp edi, 3
    je 2f
    call two
    pop rdi
    ret
1:  call five
    pop rdi
    ret
2:  call five
    call five
    call five
    call five
    call five
    pop rdi
    ret
is_two:
    cmp edi, 2
    ret
two:
    add rbx, 2
    ret
five:
    add rbx, 5
    ret
# Vector registers on both sides, or on the way to both.
has_vectors:
    test r15d, 1
    jz 1f
    paddq xmm5, xmm6
    movq xmm1, rbx
    mov eax, 64
    test r15d, 2
    jz 2f
    movd xmm2, eax
    paddq xmm1, xmm2
    movq rbx, xmm1
    ret
2:  mov eax, 4
    movd xmm2, eax
    paddq xmm1, xmm2
    movq [POINTER+24], xmm1
    mov rbx, [POINTER+24]
    ret
1:  paddq xmm5, xmm6
    add rbx, 9
    ret
# Instructions that are left to others, at the start, in the middle and at the end of a side.
left_to_others:
    test r15d, 1
    jz 1f
    add rbx, 10
    test r15d, 2
    jz 2f
    add rbx, 2
    smsw ecx
    add rbx, 2
    ret
2:  smsw ecx
    inc rbx
    smsw ecx
    ret
1:  cmp r15d, 0
    smsw ecx
    je 2b
    add rbx, 17
    ret
# Eight ways.
tree:
    test r15d, 4
    jz 1f
    test r15d, 2
    jz 2f
    test r15d, 1
    jz 3f
    add rbx, 1
    ret
3:  add rbx, 2
    ret
2:  test r15d, 1
    jz 3f
    add rbx, 3
    ret
3:  add rbx, 4
    ret
1:  test r15d, 2
    jz 2f
    test r15d, 1
    jz 3f
    add rbx, 5
    ret
3:  add rbx, 6
    ret
2:  test r15d, 1
    jz 3f
    add rbx, 7
    ret
3:  add rbx, 8
    ret
# Flags go round the loop, set by the one side or the other.
flags_around:
    mov r15d, HOT
    xor ebx, ebx
    clc
    jmp 1f
    .balign 64
1:  adc rbx, 0
    mov eax, [POINTER]
    bt r15d, 0
    jc 2f
    dec r15d                        # keeps the carry, which is none
    jnz 1b
4:  adc rbx, 0
    EQ64 rbx, HOT/2
    ret
    .balign 64
2:  dec r15d
    jz 4b
    jmp 1b
# A loop with no calls, and two ways round.
without_calls:
    mov r15d, HOT
    xor ebx, ebx
    jmp 1f
    .balign 64
3:  add rbx, 3
    dec r15d
    jnz 1f
4:  ADDED HOT, 20, 3, 3
    ret
    .balign 64
1:  mov eax, r15d
    and eax, 3
    cmp eax, 1
    jne 3b
    push rbx
    add qword ptr [rsp], 20
    pop rbx
    dec r15d
    jz 4b
    jmp 1b
# The one way falls into the start of the other.
falls_back:
    mov r15d, HOT
    xor ebx, ebx
    jmp 1f
    .balign 64
2:  add rbx, [POINTER+32]
1:  dec r15d
    jz 4f
    test r15d, 1
    jz 2b
    inc rbx
    jmp 1b
4:  inc rbx                         # for the last turn, which goes nowhere
    inc rbx
    mov eax, HOT/2*3
    EQ64 rbx, rax
    ret
# An access puts the stack's page out of the TLB, on either way, with slots that were found before it, or before the branch.
finds_stack_again:
    push rsi
    push 3
    test r15d, 1
    jz 1f
    mov eax, [r9+BOOT_STACK-8]
    pop rsi
    lea rbx, [rbx+rsi+4]
    pop rsi
    ret
1:  push 5
    mov eax, [r9+BOOT_STACK-16]
    mov rsi, [rsp+8]
    add rbx, rsi
    add rsp, 16
    pop rsi
    ret
# A side that is longer than there is room, and one that has just enough.
mostly_long:
    LOOP HOT, call long
    ADDED HOT, 40, 28, 1
    ret
long:
    test r15d, 1
    jz 1f
    test r15d, 2
    jz 2f
    .rept 28
    inc rbx
    .endr
    ret
2:
    .rept 40
    inc rbx
    .endr
    ret
1:  inc rbx
    ret
changing:
    test r15d, 1
    jz changes_there
    add rbx, 2
    ret
changes_there:
    push rbx
    xor ebx, ebx
changes:
    mov bl, 9
    pop rax
    add rbx, rax
    ret
goes_there:
    test r15d, 1
    jz 1f
    jmp PAGE+F
1:  inc rbx
    ret
goes_at_once:
    test r15d, 1
    jnz PAGE+F
    inc rbx
    ret
calls_there:
    test r15d, 1
    jz 1f
    call PAGE+F
    ret
1:  inc rbx
    ret
# The last turn loads from another place.
loads:
    cmp r15d, 1
    cmove r8d, r11d
    push rbx
    push 77
    mov eax, r15d
    and eax, 1
    sub eax, 1
    jc 1f
    stc
    dec eax                         # 0 - 1 keeps the carry
load:
    mov rax, [r8+8]
    add rsp, 8
    pop rbx
    add rbx, rax
    ret
1:  add rsp, 8
    pop rbx
    inc rbx
    ret
loads_compared:
    cmp r15d, 1
    cmove r8d, r11d
    mov eax, r15d
    and eax, 1
    mov [POINTER+40], eax
    cmp dword ptr [r10+40], 1
    jb 1f
load_compared:
    mov rax, [r8+8]
    add rbx, rax
    ret
1:  inc rbx
    ret
