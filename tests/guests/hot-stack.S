# Hot code whose stack's page is mapped to another frame, loses the right to be written, or is none: the stack pointer is
# not canonical. And whose pushes cross from a page into another one elsewhere in memory, which goes to yet another place.
# differs: qemu: an address that is not canonical is #GP on the stack too
# expect: exit=0x10
.include "long.inc"
.set HOT, 12000
.set LONG, 500
.set WARM, 50
.set TIMES, 60
.set FRAME1, DATA+0x10000           # two frames
.set FRAME2, DATA+0x13000
.set FRAME3, DATA+0x15000
.set PAGE, DATA+0x2000              # linear: the stack's page, and one below
.set E, PT_LOW+((PAGE)>>12)*8
.set BELOW, E-8
.set TOP, PAGE+0x800
.set NOWHERE, 0x8000000000000800    # not canonical

.macro MAP entry, frame, rights=RW
    mov qword ptr [\entry], \frame+P_+\rights
    invlpg [PAGE]
    invlpg [PAGE-0x1000]
.endm
# The stack pointer that the fault comes back with is the usual one.
.macro EXPECT_USUAL label:req
    mov qword ptr [TRAP_RESUME], offset \label
    mov [TRAP_RESUME_SP], rsp
.endm
main:
    # Faults have a stack of their own.
    mov qword ptr [TSS+36], TSS_STACK
    mov byte ptr [IDT+12*16+4], 1
    mov byte ptr [IDT+13*16+4], 1
    mov byte ptr [IDT+14*16+4], 1
    mov rax, cr0
    or eax, 0x10000                 # WP
    mov cr0, rax
    mov r13d, TOP
    mov qword ptr [FRAME1+0x800], 1
    mov qword ptr [FRAME2+0x800], 2
    mov qword ptr [FRAME1+0x808], 101
    mov qword ptr [FRAME2+0x808], 102

    # Loads: by POP, by an operand, by several.
    MAP E, FRAME1
    mov ecx, HOT
    call loads
    mov r14d, TIMES
1:  MAP E, FRAME2
    mov ecx, WARM
    call loads
    EQ64 rax, 2
    EQ64 rbx, 102
    EQ64 rdx, 2
    MAP E, FRAME1
    mov ecx, WARM
    call loads
    EQ64 rax, 1
    EQ64 rbx, 101
    EQ64 rdx, 1
    dec r14d
    jnz 1b

    # Stores
    mov r8d, 7
    mov ecx, HOT
    call stores
    mov r14d, TIMES
1:  lea r8d, [r14+100]
    MAP E, FRAME2
    mov ecx, WARM
    call stores
    EQ64 [FRAME2+0x7f8], r8
    EQ64 [FRAME2+0x7e0], r8
    lea r9d, [r14+200]
    mov r8, r9
    MAP E, FRAME1
    mov ecx, WARM
    call stores
    EQ64 [FRAME1+0x7f8], r8
    EQ64 [FRAME1+0x7e0], r8
    lea r8d, [r14+100]
    EQ64 [FRAME2+0x7f8], r8
    dec r14d
    jnz 1b

    # Not to be written any more: loads go on, stores fault.
    mov r14d, TIMES
1:  MAP E, FRAME1
    mov ecx, WARM
    call stores
    MAP E, FRAME1, 0
    mov ecx, WARM
    call loads
    EXPECT_USUAL 2f
    mov ecx, WARM
    call stores
    FAIL64
2:  EQ64 rcx, WARM
    TRAPPED64 14, 3, first_push
    EQ64 [TRAP_CR2], TOP-8
    EQ64 [TRAP_SP], TOP
    dec r14d
    jnz 1b
    MAP E, FRAME1

    # No canonical address: first where the last page is known, then where it is not.
    mov r14d, TIMES
1:  mov r13d, TOP
    mov ecx, WARM
    call loads
    call nowhere
    mov r13d, TOP
    mov ecx, WARM
    call stores
    invlpg [PAGE]
    call nowhere
    mov rax, cr3
    mov cr3, rax
    call nowhere
    dec r14d
    jnz 1b

    # Across two pages that do not lie side by side in memory
    MAP BELOW, FRAME2
    .irp at, 4, 8, 16, 20
    mov r13d, PAGE+\at
    mov r8, 0x1122334455667788
    mov ecx, HOT
    call stores
    mov rax, [PAGE+\at-8]
    EQ64 rax, r8
    mov rax, [PAGE+\at-32]
    EQ64 rax, r8
    mov ecx, HOT
    call loads
    EQ64 rax, [PAGE+\at]
    EQ64 rbx, [PAGE+\at+8]
    .endr
    mov r13d, PAGE+4
    mov ecx, WARM
    call stores
    mov eax, [FRAME1-4]
    EQ64 rax, 0
    mov eax, [FRAME2+0xffc]
    EQ64 rax, 0x55667788
    mov eax, [FRAME1]
    EQ64 rax, 0x11223344

    # The lower one goes elsewhere and back, and may not be written for a while.
    mov r13d, PAGE+4
    mov r14d, TIMES
1:  MAP BELOW, FRAME3
    lea r8d, [r14+100]
    mov ecx, LONG
    call stores
    mov eax, [FRAME3+0xffc]
    EQ64 rax, r8
    mov r13d, PAGE-4
    mov ecx, LONG
    call loads
    mov ebx, [FRAME3+0xffc]
    mov eax, eax
    EQ64 rax, rbx
    MAP BELOW, FRAME2
    mov r13d, PAGE+4
    lea r9d, [r14+200]
    xchg r8, r9
    mov ecx, LONG
    call stores
    mov eax, [FRAME2+0xffc]
    EQ64 rax, r8
    mov eax, [FRAME3+0xffc]
    EQ64 rax, r9
    MAP BELOW, FRAME2, 0
    mov r13d, PAGE-4
    mov ecx, WARM
    call loads
    mov ebx, [FRAME2+0xffc]
    mov eax, eax
    EQ64 rax, rbx
    mov r13d, PAGE+4
    EXPECT_USUAL 2f
    mov ecx, WARM
    call stores
    FAIL64
2:  EQ64 rcx, WARM
    TRAPPED64 14, 3, first_push
    EQ64 [TRAP_CR2], PAGE-4
    EQ64 [TRAP_SP], PAGE+4
    dec r14d
    jnz 1b
    PASS64

nowhere:
    mov r13, NOWHERE
    EXPECT_USUAL 1f
    mov ecx, WARM
    call loads
    FAIL64
1:  TRAPPED64 12, 0, first_pop
    EXPECT_USUAL 1f
    mov ecx, WARM
    call stores
    FAIL64
1:  TRAPPED64 12, 0, first_push
    ret
loads:
    pop [RESULTS+8]
    mov [RESULTS], rsp
    mov rsp, r13
first_pop:
    pop rax
    mov rbx, [rsp]
    pop rdi
    mov rdx, [rsp-16]
    cmp rdx, rax
    lea rsp, [r13+8]
    mov rdi, [rsp]
    pop rsi
    mov rsp, r13
    dec ecx
    jnz first_pop
    mov rsp, [RESULTS]
    jmp [RESULTS+8]
stores:
    pop [RESULTS+8]
    mov [RESULTS], rsp
    mov rsp, r13
first_push:
    push r8
    mov [rsp-8], r8
    push rbx
    push r8
    push r8
    mov rsp, r13
    dec ecx
    jnz first_push
    mov rsp, [RESULTS]
    jmp [RESULTS+8]
