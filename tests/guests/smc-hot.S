# Hot code that is changed: an instruction ahead in the same block or behind, in another block, in another page, across
# a page's end; immediates, opcodes and lengths; first left alone until it is hot, then changed now and then, then each
# time, then left alone again.
# expect: exit=0x10
.include "long.inc"
.set HOT, 12000
.set SOMETIMES, 8192                # a change every 256 rounds
.set ALWAYS, 3000
.set ROUNDS, HOT+SOMETIMES+ALWAYS+HOT
.set EDGE, DATA+0x3000
.set FAR_CODE, DATA+0x1000

# In R15D the number of the round: calls a function that changes code if this round is to.
.macro MAYBE change
    cmp r15d, HOT
    jb .Lno\@
    cmp r15d, HOT+SOMETIMES+ALWAYS
    jae .Lno\@
    cmp r15d, HOT+SOMETIMES
    jae .Lyes\@
    test r15d, 255
    jnz .Lno\@
.Lyes\@:
    \change
.Lno\@:
.endm
.macro NEXT label
    inc r15d
    cmp r15d, ROUNDS
    jne \label
.endm
main:
    mov rax, cr4
    or eax, 0x600
    mov cr4, rax
    fninit
    # Ahead in the same block: RCX goes from the immediate to R14 and into the instruction each round, changed or not.
    xor r15d, r15d
    mov r14d, 0x11223344
ahead:
    MAYBE "imul r14d, r14d, 0x19660d ; inc r14d"
    mov ebx, 1
    mov [ahead_at+1], r14d
    add ebx, ebx
ahead_at:
    mov ecx, 0x55555555
    add ebx, 1
    EQ64 rcx, r14
    EQ64 rbx, 3
    NEXT ahead
    # The same without a store in rounds that change nothing
    xor r15d, r15d
    mov r14d, 0x11223344
rare:
    MAYBE "imul r14d, r14d, 0x19660d ; mov [rare_at+1], r14d"
rare_at:
    mov ecx, 0x11223344
    EQ64 rcx, r14
    NEXT rare
    # An opcode ahead in the same block: INC EDX and DEC EDX by turns; EDX is the difference of what was written.
    xor r15d, r15d
    xor edx, edx
    xor esi, esi
    mov edi, 0xc2
opcode:
    MAYBE "xor edi, 8"
    mov byte ptr [opcode_at+1], dil
opcode_at:
    inc edx
    mov eax, edi
    and eax, 8
    sub esi, eax                    # -8 for DEC
    add esi, 4
    NEXT opcode
    mov eax, esi
    sar eax, 2
    EQ64 rax, rdx
    # Behind in the same block: what was written runs in the next round.
    xor r15d, r15d
    mov r14d, 0x11223344
    xor ebx, ebx
    jmp behind
    .balign 16
behind:
    mov ecx, 0x11223344
    EQ64 rcx, r14
    MAYBE "imul r14d, r14d, 0x19660d"
    mov [behind+1], r14d
    NEXT behind
    # A function in the same page, in another page, and across a page's end in three places
    mov edi, offset near_code
    call function
    mov edi, FAR_CODE
    call function
    mov edi, EDGE-2
    call function
    mov edi, EDGE-4
    call function
    mov edi, EDGE-1
    call function
    mov edi, EDGE-8
    call function
    # A jump that comes and goes: 66 90 against EB 04
    xor r15d, r15d
    xor ebx, ebx
    xor esi, esi
    mov r14d, 0x9066
jumps:
    MAYBE "xor r14d, 0x9066^0x04eb ; mov [jump_at], r14w"
    inc ebx
    .balign 2
jump_at:
    .byte 0x66, 0x90
    add esi, 1
    nop
    cmp r14d, 0x9066                # skipped or not, ESI counts the rounds without the jump
    jne 1f
    dec ebx
1:  NEXT jumps
    add ebx, esi
    EQ64 rbx, ROUNDS
    # Lengths and borders: against MOV EAX, 5; NOP; NOP; NOP
    xor r15d, r15d
    xor ecx, ecx
    xor esi, esi
    mov r14, 0x90c1ffc1ff9005b0     # MOV AL, 5; NOP; INC ECX; INC ECX; NOP
    mov [length_at], r14
lengths:
    MAYBE "call other_length"
    xor eax, eax
    cmp r14b, 0xb0
    jne 1f
    add esi, 2
1:
length_at:
    .fill 8, 1, 0x90
    EQ64 rcx, rsi
    NEXT lengths
    EQ64 [TRAP_COUNT], 0
    PASS64

other_length:
    mov rax, 0x90c1ffc1ff9005b0
    mov rdx, 0x90909000000005b8     # MOV EAX, 5; NOP...
    cmp r14, rax
    mov r14, rax
    jne 1f
    mov r14, rdx
1:  mov [length_at], r14
    ret

# At RDI a function MOV EAX, imm32; XOR EAX, 0; RET whose immediate changes by all kinds of stores.
function:
    mov byte ptr [rdi], 0xb8
    mov dword ptr [rdi+1], 0x11223344
    mov dword ptr [rdi+5], 0xc300f083
    mov r14d, 0x11223344
    xor r15d, r15d
1:  call rdi
    EQ64 rax, r14
    MAYBE "call rewrite"
    NEXT 1b
    ret
rewrite:
    imul ecx, r15d, 0x1234567
    mov eax, r15d
    shr eax, 8
    xor eax, r15d                   # both when it is always and when it is sometimes
    and eax, 15
    jmp [ways+rax*8]
.macro WAY insn:vararg
    \insn
    mov r14d, [rdi+1]
    ret
.endm
way0: WAY mov [rdi+1], ecx
way1: WAY mov [rdi+1], cl
way2: WAY mov [rdi+4], cl
way3: WAY mov word ptr [rdi+2], cx
way4: WAY xor [rdi+1], ecx
way5: WAY lock add [rdi+1], ecx
way6: WAY xchg [rdi+1], ecx
way7: WAY inc byte ptr [rdi+3]
way8:
    lea rsi, [RESULTS]
    mov [RESULTS], ecx
    mov rdx, rdi
    lea rdi, [rdx+1]
    mov ecx, 4
    rep movsb
    mov rdi, rdx
    WAY nop
way9:
    movd xmm0, ecx
    WAY movd [rdi+1], xmm0
way10:
    mov rdx, rsp
    lea rsp, [rdi+9]                # the quadword at RDI+1
    mov rax, [rdi+1]
    xor rax, rcx                    # only the immediate
    push rax
    mov rsp, rdx
    WAY nop
way11:
    mov eax, [rdi+1]
    WAY lock cmpxchg [rdi+1], ecx
way12:
    mov [RESULTS], ecx
    fild dword ptr [RESULTS]
    WAY fistp dword ptr [rdi+1]
way13: WAY lock bts dword ptr [rdi+1], 13
way14: WAY lock btr dword ptr [rdi+1], 13
way15: WAY movnti [rdi+1], ecx
.data
.balign 8
ways: .quad way0, way1, way2, way3, way4, way5, way6, way7, way8, way9, way10, way11, way12, way13, way14, way15
.text
    .balign 16
near_code:
    .fill 16, 1, 0x90
