# Returns of hot code that do not go where the last call came from: deeper than anybody remembers, to an address that was
# changed on the stack, past several frames at once, from another stack, by a return used as a jump; to code that was
# changed, mapped to another frame or unmapped since the call; to an address that is not canonical.
# differs: qemu: the fault of a return to an address that is not canonical is the target's there
# expect: exit=0x10
.include "long.inc"
.include "frames.inc"
.set HOT, 12000
.set OFTEN, 300
.set DEPTH, 6000
.set STACKS, DATA+0x40000           # stacks of two coroutines end here
.set DEEP, DATA+0x80000
# A function in a frame: CALL RSI; MOV EAX, n; RET
.macro FRAME at, n
    mov word ptr [\at+F], 0xd6ff
    mov byte ptr [\at+F+2], 0xb8
    mov dword ptr [\at+F+3], \n
    mov byte ptr [\at+F+7], 0xc3
.endm
.macro HOT_LOOP body:req, rounds=HOT
    mov r15d, \rounds
.Lturn\@:
    \body
    dec r15d
    jnz .Lturn\@
.endm
main:
    # Nothing is remembered, and zero is an address as good as any.
    mov word ptr [0], 0xe3ff            # JMP RBX
    mov ebx, offset 1f
    push 0
    ret
1:
    # Far deeper than what is remembered, again and again
    mov rbp, rsp
    mov esp, DEEP
    mov r14d, 20
1:  mov edi, DEPTH
    xor eax, eax
    call descend
    cmp rax, DEPTH
    jne wrong
    dec r14d
    jnz 1b
    mov rsp, rbp
    HOT_LOOP "call changed"
    HOT_LOOP "call past_frames"
    HOT_LOOP "call where_am_i"
    HOT_LOOP "call by_return"
    HOT_LOOP "call takes_arguments"
    call coroutines
    EQ64 rax, HOT
    # The page with the code behind the call gets another frame before it is returned to.
    FRAME FRAME1, 1
    FRAME FRAME2, 2
    mov r12d, 1
    call by_invlpg
    mov esi, offset nothing
    HOT_LOOP "call into_page"
    mov esi, offset by_invlpg_other
    HOT_LOOP "call into_page", OFTEN
    mov esi, offset by_cr3_other
    HOT_LOOP "call into_page", OFTEN
    mov esi, offset in_place
    HOT_LOOP "call into_page", OFTEN
    # It has gone: the fault is that of the next instruction.
    mov esi, offset unmap
    EXPECT64 1f
    call PAGE+F
    FAIL64
1:  EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_IP], PAGE+F+2
    EQ64 [TRAP_CR2], PAGE+F+2
    # Not canonical: the fault is the return's, and the stack pointer is not moved.
    mov r14d, OFTEN
2:  EXPECT64 1f
    call spoils
    FAIL64
1:  EQ64 [TRAP_VEC], 13
    EQ64 [TRAP_IP], "offset spoiled"
    mov rax, [TRAP_SP]
    sub rax, rsp
    EQ64 rax, -8
    dec r14d
    jnz 2b
    PASS64
wrong:
    FAIL64

descend:
    dec edi
    jz 1f
    call descend
1:  inc eax
    ret

# Returns behind the instruction after the call.
changed:
    xor eax, eax
    call skips
    jmp wrong
    inc eax
    cmp eax, 1
    jne wrong
    ret
skips:
    mov edx, offset wrong
    add qword ptr [rsp], 2              # the JMP is a short one, or 5 bytes long
    mov rdx, [rsp]
    cmp byte ptr [rdx-2], 0xeb
    je 1f
    add qword ptr [rsp], 3
1:  ret

# Leaves three frames at once, then returns as called.
past_frames:
    mov rbx, rsp
    mov ebp, offset 1f
    call 2f
    jmp wrong
1:  cmp rsp, rbx
    jne wrong
    ret
2:  call 3f
    jmp wrong
3:  call 4f
    jmp wrong
4:  mov rsp, rbx
    jmp rbp

where_am_i:
    call 1f
1:  pop rax
    cmp rax, offset 1b
    jne wrong
    ret

# A jump as kernels do it that fear speculation
by_return:
    mov ebx, offset 2f
    call 1f
0:  pause
    jmp 0b
1:  mov [rsp], rbx
    ret
2:  ret

takes_arguments:
    mov rbx, rsp
    push 1
    push 2
    call 1f
    cmp rsp, rbx
    jne wrong
    cmp eax, 3
    jne wrong
    ret
1:  mov rax, [rsp+8]
    add rax, [rsp+16]
    ret 16

# Two stacks whose functions call and return in turn: RAX counts turns.
coroutines:
    xor eax, eax
    mov r13, rsp
    mov r14d, STACKS-0x1000
    mov qword ptr [r14-8], offset first
    sub r14, 8
    mov esp, STACKS
    call second
    mov rsp, r13
    ret
yield:
    xchg rsp, r14
    ret
second:
    call 1f
    cmp eax, HOT
    jb second
    ret
1:  call 2f
    ret
2:  call yield
    inc eax
    ret
first:
    call yield
    call 1f
    jmp first
1:  call 2f
    call yield
    ret
2:  call yield
    ret

into_page:
    call PAGE+F
    cmp eax, r12d
    jne wrong
nothing:
    ret
by_invlpg_other:
    xor r12d, 3
by_invlpg:
    call other_frame
    invlpg [PAGE]
    ret
by_cr3_other:
    xor r12d, 3
    call other_frame
    mov rdx, cr3
    mov cr3, rdx
    ret
other_frame:
    mov edx, r12d
    shl edx, 13
    add edx, FRAME1-0x2000+P_+RW+US
    mov [E], rdx
    ret
in_place:
    inc r12d
    mov [PAGE+F+3], r12d
    ret
unmap:
    mov qword ptr [E], 0
    invlpg [PAGE]
    ret
spoils:
    mov rdx, 0x123456789abcdef0
    mov [rsp], rdx
spoiled:
    ret
