# Code that one CPU patches as compilers at run time do, while two others run it hot: a CALL's aligned displacement, an
# aligned quadword with a jump or NOPs, an aligned immediate, and a pointer called through. The others, which do nothing
# to synchronize, see the old or the new, never a mixture, never the old after the new, and the new for sure behind a flag
# that was stored after it.
# cpus: 3
# varies: qemu: it may translate the old code again just before the store
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.set ROUNDS, 60
.set CALLS, 300                     # by each CPU in each round, at least
.set CODE, DATA                     # the patched code, and what runs it, in one page
.set FUNCTIONS, DATA+0x10000        # number n, 16 bytes: MOV EAX, n; RET
.set ROUND, DATA+0x8000             # what the others may rely on
.set COUNTS, DATA+0x8040            # how often each has been round
.set POINTER, DATA+0x8100
.set WRONG, DATA+0x8140             # what somebody saw that must not be
.set WRONG_FLOOR, DATA+0x8148

main:
    APIC_ENABLE
    mov edi, FUNCTIONS
    xor eax, eax
1:  mov byte ptr [rdi], 0xb8
    mov [rdi+1], eax
    mov byte ptr [rdi+5], 0xc3
    add edi, 16
    inc eax
    cmp eax, ROUNDS+1
    jne 1b
    mov esi, offset template
    mov edi, CODE
    mov ecx, template_end-template
    cld
    rep movsb
    xor ebx, ebx
    call patch
    SMP_START 1, second
    SMP_START 2, third
    mov ebx, 1
2:  call patch
    mov [ROUND], rbx
    mov r8, [COUNTS]
    mov r9, [COUNTS+64]
    add r8, CALLS
    add r9, CALLS
3:  pause
    cmp qword ptr [WRONG], 0
    jne bad
    cmp [COUNTS], r8
    jb 3b
    cmp [COUNTS+64], r9
    jb 3b
    inc ebx
    cmp ebx, ROUNDS+1
    jne 2b
    PASS64
bad:
    mov rax, [WRONG]
    and eax, 0xffffff
    EQ64 rax, [WRONG_FLOOR]
    FAIL64

# Everything to the number in RBX
patch:
    mov eax, ebx
    shl eax, 4
    add eax, FUNCTIONS
    mov [POINTER], rax
    mov edx, eax
    sub edx, CODE+patch_call-template+5
    mov [CODE+patch_call-template+1], edx
    # The quadword: a jump for even numbers, else NOPs that fall into another one; the immediate first
    mov [CODE+patch_immediate-template+1], ebx
    test ebx, 1
    jz 1f
    mov rax, 0x0000000000841f0f     # an eight-byte NOP
    mov [CODE+patch_jump-template], rax
    ret
1:  mov eax, CODE+patch_even-template-(CODE+patch_jump-template+5)
    shl rax, 8
    mov al, 0xe9
    mov rdx, 0x9090900000000000
    or rax, rdx
    mov [CODE+patch_jump-template], rax
    ret

# Runs in CODE; position-independent. RBP: the CPU's counter. R8 to R11: the latest numbers.
    .balign 64
template:
run:
    mov r12, [ROUND]
    test r12, r12
    js run                          # never; ends the block
    .balign 8
    nop
    nop
    nop                             # the displacement is aligned
patch_call:
    call run                        # patched at once
    mov ecx, 1
    cmp rax, r12
    jb wrong
    cmp rax, r8
    jb wrong
    mov r8, rax
    jmp 1f
    .balign 8
    nop
    nop
    nop
1:  .balign 4
    nop
    nop
    nop
patch_immediate:
    mov eax, 0
    mov ecx, 2
    cmp rax, r12
    jb wrong
    cmp rax, r9
    jb wrong
    mov r9, rax
    call [POINTER]
    mov ecx, 3
    cmp rax, r12
    jb wrong
    cmp rax, r10
    jb wrong
    mov r10, rax
    # The jump's parity is that of a number between the one that was promised and the latest.
    mov r13, [ROUND]
    xor edx, edx
    jmp patch_jump
    .balign 8
patch_jump:
    .quad 0
    inc edx                         # odd
patch_even:
    mov r14, [ROUND]
    inc qword ptr [rbp]
    # Unless another round has begun or is on its way, it must be R13's. The patcher is ahead by one at most.
    cmp r13, r14
    jne run
    mov eax, r13d
    xor eax, edx
    and eax, 1
    jz run
    # It is the next one's: then that comes soon, or the jump was stale.
    mov ecx, 4
    mov eax, 100000000
2:  cmp [ROUND], r13
    jne run
    pause
    dec eax
    jnz 2b
wrong:
    mov [WRONG_FLOOR], r12
    shl rcx, 32
    or rax, rcx
    mov [WRONG], rax
    cli
    hlt
template_end:

second:
    mov ebp, COUNTS
    jmp 1f
third:
    mov ebp, COUNTS+64
1:  xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    mov eax, CODE
    jmp rax
