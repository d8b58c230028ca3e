# Loops that step through pages: up and down, by steps of one byte to several words, on aligned and on overlapping
# vectors, with carries from turn to turn, with early ends, with registers of all kinds, locked, and beside accesses that
# go anywhere. Pages are absent at first, also in the middle, and an exception of floats is unmasked. Each loop does what
# the same instructions do with a call in each turn, and each fault finds the same registers and flags. Interrupts come
# in, and code that a loop writes is run.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "xsave.inc"
.set SOURCE, DATA+0x10000           # four pages each
.set TARGET, DATA+0x20000
.set SIZE, 0x4000
.set SUM, DATA                      # of what faults found
.set FAULTS, DATA+8
.set FLAG, DATA+16
.set FIRST, DATA+24
.set FIRST_FAULTS, DATA+32
.set SAVED, DATA+40
.set FUNCTION, DATA+0x30000

# The loop `name`, which is come to from before it, and `name`_apart with a call in each turn. `close` sets flags for
# `again`, which goes to label 1.
.macro LOOP name:req, body:req, close:req, again="jnz 1b"
    .balign 32
\name:
    lea r10, [r10+3]
1:  \body
    \close
    \again
9:  ret
    .balign 32
\name\()_apart:
    lea r10, [r10+3]
1:  call 2f
    \close
    \again
9:  ret
2:  \body
    ret
.endm
LOOP sum, "mov rbx, [rsi] ; add rax, rbx ; add rsi, 8", "dec edx"
LOOP sum_indexed, "add rax, [rsi+rcx*8] ; inc rcx", "cmp rcx, rdx"
LOOP bytes_down, "movzx ebx, byte ptr [rsi+rdx-1] ; mov [rdi+rdx-1], bl", "sub rdx, 1"
LOOP words_down, "mov rbx, [rsi+0x3000] ; mov [rdi+0x3000], rbx ; sub rsi, 8 ; sub rdi, 8", "dec edx"
LOOP steps_of_24, "mov rbx, [rsi] ; xor [rdi+8], rbx ; add rsi, 24 ; add rdi, 24", "sub edx, 1"
LOOP overlap, "mov rbx, [rdi] ; add rbx, [rdi+8] ; mov [rdi+8], rbx ; lea rdi, [rdi+8]", "test edx, edx ; lea edx, [rdx-1]"
LOOP carries, "mov rbx, [rsi] ; adc [rdi], rbx ; lea rsi, [rsi+8] ; lea rdi, [rdi+8]", "dec edx"
LOOP vectors, "movups xmm0, [rsi+rcx+4] ; paddd xmm0, [rdi+rcx] ; movaps [rdi+rcx], xmm0 ; add rcx, 16", "cmp rcx, rdx", "jb 1b"
LOOP floats, "vmovups ymm0, [rsi+rcx] ; vaddps ymm1, ymm0, [rdi+rcx] ; vmovups [rdi+rcx], ymm1 ; add rcx, 32", "cmp rcx, rdx", "jb 1b"
LOOP context, "mov r9, [rsi] ; add r10, r9 ; xor r11, r10 ; mov [rdi], r11 ; add rsi, 16 ; add rdi, 16", "sub edx, 1"
LOOP bits, "mov ebx, [rdi+rcx*4] ; lea r8d, [rbx+1] ; test ebx, 1 ; cmovz r8d, edx ; add [rsi+rcx*4], r8d ; sub rcx, -3", "cmp ecx, edx", "jb 1b"
LOOP locked, "mov rbx, [rsi] ; lock xadd [rdi], rbx ; xchg [rdi+16], rbx ; lock inc dword ptr [rdi+rdx*0x1] ; lock or [rsi], ebx ; add rsi, 8 ; add rdi, 8", "dec edx"
LOOP counted, "lock add [rdi], rdx ; lock dec word ptr [rdi+14] ; lock xadd [rdi+24], rax", "dec edx"
LOOP exchanged, "mov rbx, [rsi] ; mov rax, [rdi+8] ; and eax, ebx ; lock cmpxchg [rdi+8], rbx ; adc r8, rax ; mov eax, [rdi] ; cmpxchg [rdi], ecx ; lea ecx, [rcx+rax+1] ; cmpxchg [rsi], bl ; add rsi, 8 ; add rdi, 8", "sub edx, 1"
LOOP crossing, "mov rbx, [rsi] ; lock xadd [rdi+4], rbx ; lock btc dword ptr [rdi+13], 3 ; add rsi, 8 ; add rdi, 8", "dec edx"
# Beside accesses that go anywhere
LOOP histogram, "movzx ebx, word ptr [rsi] ; and ebx, 0x7ff ; inc dword ptr [rdi+rbx*4] ; add rsi, 2", "dec edx"
LOOP lookup, "mov rbx, [rsi] ; and ebx, 0x3ff ; mov rax, [rdi+rbx*8] ; xor rax, [rdi+rbx*8+8] ; add rsi, 8", "cmp rsi, rbp", "jb 1b"
LOOP partition, "mov r10, [rsi] ; xor r8d, r8d ; cmp r10d, edx ; setb r8b ; mov rbx, [rdi+rcx*8] ; mov [rsi-8], rbx ; mov [rdi+rcx*8], r10 ; add rcx, r8 ; add rsi, 8", "cmp rsi, rbp", "jb 1b"
LOOP carried, "add rax, [rsi] ; mov rbx, [rdi+r8*8] ; adc rax, rbx ; mov r8d, ebx ; and r8d, 0x3ff ; lea rsi, [rsi+8]", "cmp rsi, rbp", "jb 1b"
LOOP two_places, "mov rbx, [rsi] ; mov eax, ebx ; shr eax, 22 ; and ebx, 0x3ff ; mov r8, [rdi+rbx*8] ; cmp r8, rbx ; mov r9, [rdi+rax*8+8] ; mov [rdi+rbx*8], r9 ; mov [rdi+rax*8], r8 ; sbb r9, [rsi+8] ; mov [rsi], r9 ; add rsi, 8", "sub edx, 1"
LOOP gathered, "mov ebx, [rsi] ; and ebx, 0x7ff ; vaddss xmm1, xmm1, dword ptr [rdi+rbx*4] ; vmulss xmm0, xmm1, dword ptr [rsi] ; movups xmm2, [rdi+rbx+1] ; movups [rdi+rbx*2], xmm2 ; lea rsi, [rsi+4]", "test edx, edx ; lea edx, [rdx-1]"
LOOP compared, "movzx ebx, word ptr [rsi] ; and ebx, 0x3ff ; cmp [rdi+rbx*8], rsi ; movzx eax, byte ptr [rdi+r8*8] ; setb r8b ; lea r8, [r8+rax*4] ; add rsi, 2", "cmp rsi, rbp", "jb 1b"
LOOP aligned, "mov ebx, [rsi] ; vmulss xmm2, xmm0, dword ptr [rsi+8] ; and ebx, 0x7f8 ; movaps xmm1, [rdi+rbx] ; paddq xmm0, xmm1 ; add rsi, 16", "cmp rsi, rbp", "jb 1b"
# Early ends, going on by a jump
LOOP search, "cmp byte ptr [rsi], 0x77 ; je 3f ; inc rsi ; cmp rsi, rbp ; 3:", "je 9f", "jmp 1b"

main:
    XSAVE_ON
    mov rax, cr4
    or eax, 0x400                   # OSXMMEXCPT
    mov cr4, rax
    GATE64 13, general_protection
    GATE64 14, page_fault
    GATE64 19, float_fault
.macro BOTH name:req, count:req, scale=1
    .irp offset, 0, 0x10, 0xf60, 0xff0
    mov r12d, \offset
    mov r13d, \count
    mov r14d, \scale
    mov r15d, offset \name
    mov ebp, offset \name\()_apart
    call both
    .endr
.endm
    BOTH sum, 1400
    BOTH sum_indexed, 1400
    BOTH bytes_down, 9000
    BOTH words_down, 1300
    BOTH steps_of_24, 500
    BOTH overlap, 1400
    BOTH carries, 1400
    BOTH vectors, 9008
    BOTH floats, 9024
    BOTH context, 600
    BOTH bits, 2300
    BOTH locked, 1000
    BOTH counted, 1000
    BOTH exchanged, 1000
    BOTH crossing, 1300
    BOTH histogram, 5000
    BOTH lookup, 0
    BOTH partition, 0x7fffffff
    BOTH carried, 0
    BOTH two_places, 1000
    BOTH gathered, 2500
    BOTH compared, 0
    BOTH aligned, 0
    BOTH sum, 3
    BOTH sum, 1
    # Until a byte is found, or the end
    .irp offset, 1, 0x1800, 0x2fff, 0x3000
    mov byte ptr [DATA+0x1000], 0
    mov r12d, 0
    mov r13d, -\offset
    mov r15d, offset search
    mov ebp, offset search_apart
    call both
    .endr
    call interrupts
    call writes_code
    EQ64 [TRAP_COUNT], 0
    PASS64

# Runs the loops at R15 and RBP from offset R12 on with count R13, and compares.
both:
    call run
    mov rax, [SUM]
    mov [FIRST], rax
    mov rax, [FAULTS]
    mov [FIRST_FAULTS], rax
    xchg r15, rbp
    call run
    EQ64 [SUM], [FIRST]
    EQ64 [FAULTS], [FIRST_FAULTS]
    ret

run:
    mov edi, SOURCE
    mov rax, 0x0123456789abcdef
1:  mov [rdi], rax
    imul rax, rax, 0x343fd
    add rax, 0x269ec3
    mov ecx, eax
    and ecx, 0x3f3fffff             # no infinities, nor what is near them
    mov [rdi+TARGET-SOURCE], rcx
    add edi, 8
    cmp edi, SOURCE+SIZE
    jne 1b
    mov dword ptr [SOURCE+0x1a08], 0x7f800001 # a signalling NaN
    xor eax, eax
    mov [SUM], rax
    mov [FAULTS], rax
    test r13, r13
    jns 2f
    mov edi, SOURCE                 # a search: the byte is at -R13
    mov ecx, SIZE
    xor eax, eax
    rep stosb
    mov rcx, r13
    neg rcx
    mov byte ptr [SOURCE+rcx], 0x77
2:  .irp page, 0x1000, 0x2000
    PTE SOURCE+\page, 0
    PTE TARGET+\page, 0
    .endr
    mov dword ptr [RESULTS], 0x1f00 # invalid operations are told
    ldmxcsr [RESULTS]
    push rbp
    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor r8d, r8d
    xor r9d, r9d
    mov r10d, 5
    mov r11d, 7
    mov rdx, r13
    mov ebp, SOURCE+0x3000
    lea rsi, [r12+SOURCE]
    lea rdi, [r12+TARGET]
    pxor xmm0, xmm0
    pxor xmm1, xmm1
    stc
    call r15
    pop rbp
    pushfq
    call fold
    add rsp, 8
    mov esi, SOURCE
1:  crc32 rax, qword ptr [rsi]
    crc32 rax, qword ptr [rsi+TARGET-SOURCE]
    add esi, 8
    cmp esi, SOURCE+SIZE
    jne 1b
    movq rcx, xmm0
    crc32 rax, rcx
    movq rcx, xmm1
    crc32 rax, rcx
    mov [SUM], rax
    ret

# Adds the registers to the sum, and the flags above the return address; RAX is the sum.
fold:
    push rax
    mov eax, [SUM]
    crc32 rax, qword ptr [rsp]
    .irp register, rbx, rcx, rdx, rsi, rdi, r8, r9, r10, r11, r12, r13, r14
    crc32 rax, \register
    .endr
    push rbx
    mov rbx, [rsp+24]
    and ebx, 0x8c5              # TEST leaves AF undefined
    crc32 rax, rbx
    pop rbx
    mov [SUM], eax
    add rsp, 8
    ret

# Stack: error, RIP, CS, RFLAGS. Sees to it that the page is there.
page_fault:
    mov [SAVED], rax
    push [rsp+24]
    call fold
    mov rax, cr2
    xor [SUM], rax
    inc qword ptr [FAULTS]
    and rax, -0x1000
    mov [rsp], rbx
    mov rbx, rax
    shr rbx, 12
    or eax, P_+RW
    mov [PT_LOW+rbx*8], rax
    mov rbx, [rsp]
    mov rax, [SAVED]
    add rsp, 16
    iretq
# Stack: error, RIP, CS, RFLAGS. Leaves out the instruction, MOVAPS.
general_protection:
    mov [SAVED], rax
    push [rsp+24]
    call fold
    inc qword ptr [FAULTS]
    mov rax, [SAVED]
    add qword ptr [rsp+16], 4
    add rsp, 16
    iretq
# Stack: RIP, CS, RFLAGS. Masks the exception.
float_fault:
    mov [SAVED], rax
    push [rsp+16]
    call fold
    inc qword ptr [FAULTS]
    mov dword ptr [RESULTS], 0x1f80
    ldmxcsr [RESULTS]
    mov rax, [SAVED]
    add rsp, 8
    iretq

# A loop that only an interrupt ends
interrupts:
    APIC_ENABLE
    GATE64 0x40, tick
    APIC_WRITE APIC_TIMER_DIVIDE, 0xb
    mov r15d, 20
1:  mov qword ptr [FLAG], 0
    APIC_WRITE APIC_LVT_TIMER, 0x40
    APIC_WRITE APIC_TIMER_INITIAL, 100000
    mov edi, FLAG
    mov eax, 7
    xor ecx, ecx
    sti
    .balign 32
2:  mov rbx, [rdi]
    add rcx, 1
    test rbx, rbx
    jz 2b
    cli
    EQ64 rbx, 1
    EQ64 rax, 7
    dec r15d
    jnz 1b
    ret
tick:
    push rax
    mov qword ptr [FLAG], 1
    APIC_EOI_NOW
    pop rax
    iretq

# A loop that writes functions, across a page of them and its neighbours
writes_code:
    mov r15d, 300
1:  mov eax, r15d
    shl rax, 8
    mov rbx, 0x9090c300000000b8     # MOV EAX, R15D; RET
    or rbx, rax
    mov edi, FUNCTION-0x800
    mov edx, 0x400
    .balign 32
2:  mov [rdi], rbx
    add rdi, 8
    dec edx
    jnz 2b
    .irp at, -0x800, -8, 0, 0x738, 0xff8, 0x17f8
    call FUNCTION+\at
    EQ64 rax, r15
    .endr
    dec r15d
    jnz 1b
    ret
