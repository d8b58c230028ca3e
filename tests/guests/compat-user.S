# 32-bit programs at CPL 3 under a 64-bit kernel: 32-bit operands and addresses, segments with limits, gates and faults
# with 64-bit frames.
# expect: exit=0x10
.include "long.inc"
.macro USER_COMPAT label
    EXPECT64 .Lback\@
    push UDATA
    push USER_STACK
    push 0x202
    push UCODE32
    push offset \label
    iretq
.Lback\@:
.endm
main:
    mov rax, -1
    mov rsi, 0x1122334455667788
    mov r8, 0x1234
    USER_COMPAT user
    TRAPPED64 0x80, 0, user_end
    EQ64 [TRAP_CS], UCODE32
    EQ64 [TRAP_SP], USER_STACK-8
    EQ64 [TRAP_FRAME], TSS_STACK-40
    EQ64 rbx, USER_STACK-4
    EQ64 rdx, 0x7fffffff
    EQ64 r8, 0x1234
    USER_COMPAT user_fault
    TRAPPED64 14, 5, user_fault
    EQ64 [TRAP_CR2], DATA
    # Addresses wrap at 4 GiB.
    USER_COMPAT user_wrap
    TRAPPED64 0x80, 0, user_wrap_end
    EQ64 rax, 0xc3
    USER_COMPAT user_into
    TRAPPED64 4, 0, user_into_end
    USER_COMPAT user_bound
    TRAPPED64 5, 0, user_bound_at
    USER_COMPAT user_les
    TRAPPED64 0x80, 0, user_les_end
    EQ64 rax, 0x5678
    # Hidden: an instruction set without REX; SWAPGS and RDFSBASE are #UD.
    USER_COMPAT user_swapgs
    TRAPPED64 6, 0, user_swapgs
    PASS64
.section .user, "ax"
.code32
user:
    mov eax, UDATA
    mov ds, eax
    mov es, eax
    push 0x55
    mov ebx, esp
    mov edx, 0x7fffffff
    inc eax
    dec eax
    push 1
    int 0x80
user_end:
user_fault:
    mov eax, [DATA]
user_wrap:
    mov ecx, UDATA
    mov ds, ecx
    mov ebx, 0xfffffff0
    mov byte ptr [USER_STACK-0x100], 0xc3
    xor eax, eax
    mov al, [ebx+USER_STACK-0x100+0x10]
    int 0x80
user_wrap_end:
user_into:
    mov al, 0x7f
    inc al
    into
user_into_end:
user_bound:
    mov ecx, UDATA
    mov ds, ecx
    mov dword ptr [USER_STACK-0x100], 1
    mov dword ptr [USER_STACK-0xfc], 2
    mov eax, 3
user_bound_at:
    bound eax, [USER_STACK-0x100]
user_les:
    mov ecx, UDATA
    mov ds, ecx
    mov dword ptr [USER_STACK-0x100], 0x5678
    mov dword ptr [USER_STACK-0xfc], UDATA
    les eax, [USER_STACK-0x100]
    mov ecx, eax
    aam
    aad
    pusha
    popa
    mov eax, ecx
    int 0x80
user_les_end:
user_swapgs:
    .byte 0x0f, 0x01, 0xf8
.code64
