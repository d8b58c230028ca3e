# Flags that are made where they are wanted only: hot calls and jumps, direct and indirect, from behind comparisons, sums and
# counts whose registers are still there, lead to code that looks at the flags and to code that does not; and to code that is
# made the other kind.
# expect: exit=0x10
.include "long.inc"
.set HOT, 2000
.set TIMES, 30
.set CODE, DATA+0x10000             # functions that are written
.set POINTER, DATA+0x30000

# Makes flags, leads somewhere, and comes back with RAX: RBX is the sum.
.macro SUM flags:vararg
    mov r15d, HOT
    xor ebx, ebx
    .balign 16
.Lturn\@:
    mov rcx, [DATA+0x4000]          # what a probe of destroys
    mov r12d, r15d
    \flags
    mov r14, [DATA+0x5000]          # a probe changes the host's flags
    LEAD
    add rbx, rax
    dec r15d
    jnz .Lturn\@
.endm
# The same sums by each way to lead there.
.macro WAYS expected:req, flags:vararg
    .macro LEAD
    call wants
    .endm
    SUM \flags
    EQ64 rbx, \expected
    .purgem LEAD
    .macro LEAD
    call [POINTER]
    .endm
    SUM \flags
    EQ64 rbx, \expected
    .purgem LEAD
    .macro LEAD
    call r13
    .endm
    SUM \flags
    EQ64 rbx, \expected
    .purgem LEAD
    .macro LEAD
    push offset .Lbehind\@
    jmp r13
.Lbehind\@:
    .endm
    SUM \flags
    EQ64 rbx, \expected
    .purgem LEAD
.endm
main:
    mov r9d, TIMES
again:
    mov qword ptr [POINTER], offset wants
    mov r13, offset wants
    # CF and ZF of comparisons: of each 16 turns 8 with carry, one equal.
    .macro AND15
    and r12d, 15
    cmp r12d, 8
    .endm
    WAYS HOT/2+HOT/16*2, AND15
    .purgem AND15
    .macro SUMS
    and r12d, 15
    mov edx, -8
    add edx, r12d
    .endm
    WAYS HOT/2+HOT/16*2, SUMS
    .purgem SUMS
    .macro LESS
    and r12d, 15
    mov edx, r12d
    sub edx, 8
    .endm
    WAYS HOT/2+HOT/16*2, LESS
    .purgem LESS
    .macro COUNTS
    and r12d, 15
    cmp r12d, 8
    mov edx, -7
    lea edx, [rdx+r12]
    dec edx
    .endm
    WAYS HOT/2+HOT/16*2, COUNTS
    .purgem COUNTS

    # A jump by a table: to code that looks at the flags, to code that does not.
    mov r15d, HOT
    xor ebx, ebx
    xor r12d, r12d
1:  mov edx, r15d
    and edx, 3
    mov rcx, [table+rdx*8]
    mov r14d, -1001
    add r14d, r15d
    jmp rcx
carries:
    adc ebx, 0
    jmp 2f
not_zero:
    jz 2f
    inc ebx
    jmp 2f
takes:
    mov eax, 1
    add ebx, eax
    jmp 2f
counts:
    xor eax, eax
    add ebx, 1
2:  add r12d, 1
    dec r15d
    jnz 1b
    EQ64 rbx, HOT/4-HOT/8+HOT/4-1+HOT/2
    EQ64 r12, HOT

    # What is called is made code that looks at the flags, and back: MOV EAX, 3 or SBB EAX, EAX and NEG.
    mov r14d, TIMES
3:  mov r13, CODE
    mov qword ptr [POINTER], CODE
    mov dword ptr [CODE], 0x000003b8
    mov word ptr [CODE+4], 0xc300
    mov ebp, HOT/8*3
    call written
    mov dword ptr [CODE], 0x000fc019 # SBB EAX, EAX
    mov dword ptr [CODE+2], 0xc3d8f7   # NEG EAX; RET
    mov ebp, HOT/16
    call written
    dec r14d
    jnz 3b
    dec r9d
    jnz again
    PASS64

# Calls the code by its name, by a pointer and by a jump; RBP is the sum of what it returns each.
written:
    mov r15d, HOT/8
    xor ebx, ebx
    xor r10d, r10d
    xor edi, edi
1:  mov r12d, r15d
    and r12d, 1
    mov rax, [DATA+0x4000]
    cmp r12d, 1                     # carry every other time
    mov rax, [DATA+0x5000]
    call by_name
    add rbx, rax
    cmp r12d, 1
    mov rax, [DATA+0x5000]
    call [POINTER]
    add r10, rax
    push offset 2f
    cmp r12d, 1
    mov rax, [DATA+0x5000]
    jmp r13
2:  add rdi, rax
    dec r15d
    jnz 1b
    EQ64 rbx, rbp
    EQ64 r10, rbp
    EQ64 rdi, rbp
    ret
by_name:
    jmp CODE
wants:
    setc al
    setz cl
    movzx eax, al
    movzx ecx, cl
    lea eax, [rax+rcx*2]
    ret
    .balign 8
table:
    .quad carries, not_zero, takes, counts
