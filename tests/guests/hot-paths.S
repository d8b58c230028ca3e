# Hot loops that go through several places: calls and their returns, jumps, branches that are mostly taken. The pages of what
# they call are mapped to other frames, or its code is changed; calls by memory come to lead elsewhere, returns to go elsewhere,
# functions to be left by another way than mostly, to fault, and to return with flags.
# expect: exit=0x10
.include "long.inc"
.include "frames.inc"
.set HOT, 3200
.set WARM, 40
.set TIMES, 30
.set POINTER, DATA+0x30000
.set ABSENT, DATA+0x50000

# A function at an address: MOV EAX, n; RET
.macro FUNCTION at, n
    mov byte ptr [\at], 0xb8
    mov dword ptr [\at+1], \n
    mov byte ptr [\at+5], 0xc3
.endm
# Calls something in a loop: RBX is the sum of what it returns.
.macro SUM rounds:req, what:req
    mov r15d, \rounds
    xor ebx, ebx
    .balign 16
.Lturn\@:
    \what
    add rbx, rax
    dec r15d
    jnz .Lturn\@
.endm
# A loop of five blocks with two instructions in turn, one of which increments EBX.
.macro LONG_WAY one:req, other:req
    mov r15d, HOT
    xor ebx, ebx
1:
.rept 5
.rept 10
    \one
    \other
.endr
    jmp 2f
    hlt
2:
.endr
    dec r15d
    jnz 1b
    EQ64 rbx, HOT*50
.endm
# Adds the carry of something that compares the stack pointer with EBP; of two, one is below.
.macro BY_STACK what:req
    mov qword ptr [POINTER+24], 0
    mov r15d, HOT
    xor eax, eax
    .balign 16
1:  mov edx, r15d
    and edx, 1
    shl edx, 4
    mov ebp, esp
    sub ebp, edx
    \what
    adc [POINTER+24], eax
    dec r15d
    jnz 1b
    EQ64 [POINTER+24], HOT/2
.endm
main:
    FUNCTION FRAME1+F, 1
    FUNCTION FRAME2+F, 2
    MAP FRAME1
    mov qword ptr [POINTER], PAGE+F
    mov esi, PAGE+F
    # The page has another frame.
    mov r14d, TIMES
1:  call direct
    call by_register
    call by_memory
    call by_jump
    MAP FRAME2
    mov r13d, 2
    call all_of
    mov qword ptr [E], FRAME1+P_+RW
    mov rax, cr3
    mov cr3, rax
    mov r13d, 1
    call all_of
    # Its code is another one.
    mov dword ptr [PAGE+F+1], 5
    mov r13d, 5
    call all_of
    mov dword ptr [FRAME1+F+1], 1
    mov r13d, 1
    call all_of
    dec r14d
    jnz 1b

    # A call by memory leads elsewhere, now and then, and then for good.
    SUM HOT, "call mostly_near"
    mov eax, HOT+HOT/8*7
    EQ64 rbx, rax
    mov qword ptr [POINTER], offset eight
    SUM WARM, "call [POINTER]"
    EQ64 rbx, WARM*8
    mov qword ptr [POINTER], PAGE+F

    # A return goes elsewhere, every now and then.
    mov edi, 0
    SUM HOT, "call skips"
    mov eax, HOT-HOT/16
    EQ64 rbx, rax

    mov edi, 0
    SUM HOT, "call skips_at_once"
    mov eax, HOT-HOT/16
    EQ64 rbx, rax

    mov edi, 0
    mov qword ptr [POINTER+16], 1
    SUM HOT, "call skips_late"
    mov eax, HOT-HOT/16
    EQ64 rbx, rax
    mov edi, 0
    xor edx, edx
    SUM HOT, "call skips_with_carry"
    adc rdx, 0                      # of the last one, which DEC keeps
    mov eax, HOT-HOT/16
    EQ64 rbx, rax
    mov eax, HOT/16
    EQ64 rdx, rax

    # A function is left by another way than mostly: with what it has pushed on the stack.
    mov r14d, 6
1:  mov edi, 0
    SUM HOT, "call two_ways"
    mov eax, HOT/4*3+HOT/4*100
    EQ64 rbx, rax
    mov edi, 0
    SUM HOT, "call other_way"
    mov eax, HOT/4*3*100+HOT/4
    EQ64 rbx, rax
    dec r14d
    jnz 1b

    # A function faults, with its caller's stack, and goes on.
    mov qword ptr [PT_LOW+((ABSENT)>>12)*8], 0
    invlpg [ABSENT]
    mov r8d, POINTER
    mov qword ptr [POINTER+8], 3
    SUM HOT, "call loads"
    EQ64 rbx, HOT*3
    mov r14d, TIMES
1:  mov r8d, ABSENT
    EXPECT64 2f
    mov rbp, rsp
    SUM WARM, "call loads"
    FAIL64
2:  TRAPPED64 14, 0, load
    EQ64 [TRAP_CR2], ABSENT+8
    EQ64 r15, WARM
    mov rax, [TRAP_SP]
    sub rax, rbp
    EQ64 rax, -16
    mov rsp, rbp
    mov r8d, POINTER
    SUM WARM, "call loads"
    EQ64 rbx, WARM*3
    dec r14d
    jnz 1b

    # Flags go through calls and returns.
    xor edi, edi
    xor ebp, ebp
    mov r15d, HOT
1:  add edi, 0x30000000
    call keeps_flags
    adc ebp, 0
    call sets_carry
    adc ebp, 0
    dec r15d
    jnz 1b
    mov eax, 0x30000000
    mov ecx, HOT
    mul rcx
    shr rax, 32
    add eax, HOT
    EQ64 rbp, rax

    # Flags that the stack pointer has told, which the return moves, also where that leads back to what wants them.
    mov edi, offset compares
    BY_STACK "call compares"
    BY_STACK "call rdi"

    # Jumps and taken branches go round.
    mov r15d, HOT
    xor ebx, ebx
    jmp round
there:
    cmp ebx, 0x7fffffff
    jb further
    hlt
    .balign 64
round:
    inc ebx
    jmp there
    .balign 64
further:
    add ebx, 2
    test r15d, 7
    jz 1f
    dec r15d
    jnz round
    jmp 2f
1:  add ebx, 10
    dec r15d
    jnz round
2:  EQ64 rbx, HOT*3+HOT/8*10

    # A way is longer than what is put together, which ends with what is interpreted, or with the one before that.
    LONG_WAY "smsw rax", "inc ebx"
    LONG_WAY "inc ebx", "smsw rax"
    PASS64

# All ways to call PAGE+F, which returns R13.
all_of:
    imul r12d, r13d, WARM
    SUM WARM, "call by_name"
    EQ64 rbx, r12
    SUM WARM, "call rsi"
    EQ64 rbx, r12
    SUM WARM, "call [POINTER]"
    EQ64 rbx, r12
    SUM WARM, "call jumps"
    EQ64 rbx, r12
    ret
direct:
    SUM HOT, "call by_name"
    EQ64 rbx, HOT
    ret
by_register:
    SUM HOT, "call rsi"
    EQ64 rbx, HOT
    ret
by_memory:
    SUM HOT, "call [POINTER]"
    EQ64 rbx, HOT
    ret
by_jump:
    SUM HOT, "call jumps"
    EQ64 rbx, HOT
    ret
by_name:
    push rbx
    mov ebx, 77
    call PAGE+F
    pop rbx
    ret
jumps:
    jmp [POINTER]
eight:
    mov eax, 8
    ret
compares:
    smsw ecx                        # behind which the stack is to be looked for
    cmp esp, ebp
    ret
# One call of eight leads to another function.
mostly_near:
    mov ecx, PAGE+F
    mov edx, offset eight
    test r15d, 7
    cmovz rcx, rdx
    call rcx
    ret
# Of 16 calls one returns behind the instruction after it.
skips:
    mov eax, 1
    inc edi
    test edi, 15
    jz 1f
    ret
1:  add qword ptr [rsp], 3
    ret
# Has one return of 16 skip an instruction of three bytes.
.macro SKIP
    inc edi
    xor ecx, ecx
    test edi, 15
    setz cl
    lea ecx, [rcx+rcx*2]
    add [rsp], rcx
.endm
skips_at_once:
    mov eax, 1
    SKIP
    ret
skips_late:
    SKIP
    mov rax, [POINTER+16]
    ret
# With the carry that the last one came back with
skips_with_carry:
    adc rdx, 0
    mov eax, 1
    SKIP
    neg ecx
    ret
# Three times of four 1, else 100, by a detour.
two_ways:
    push rdi
    push rsi
    inc edi
    test edi, 3
    jz 1f
    mov eax, 1
2:  mov [rsp+8], rdi
    pop rsi
    pop rdi
    ret
1:  mov eax, 100
    jmp 2b
other_way:
    push rsi
    sub rsp, 24
    inc edi
    test edi, 3
    jnz 1f
    mov eax, 1
    add rsp, 24
    pop rsi
    ret
1:  mov eax, 100
    lea rsp, [rsp+24]
    pop rsi
    ret
loads:
    push rbx
    mov ebx, 5
load:
    mov rax, [r8+8]
    pop rbx
    ret
keeps_flags:
    mov eax, [POINTER]
    lea eax, [rax+1]
    ret
sets_carry:
    push rax
    pop rax
    stc
    ret
