# #AC: at CPL 3 with CR0.AM and EFLAGS.AC set, misaligned data accesses fault with error code 0; CPL 0 never; implicit
# accesses never.
# differs: qemu: it checks no alignment
# expect: exit=0x10
.include "long.inc"
.set AREA, USER_STACK-0x100
main:
    USER64 user_word, 2+EFLAGS_AC   # AM is clear
    TRAPPED64 0x80, 0, user_word_end
    mov rax, cr0
    bts rax, 18
    mov cr0, rax
    USER64 user_word                # AC is clear
    TRAPPED64 0x80, 0, user_word_end
    USER64 user_word, 2+EFLAGS_AC
    TRAPPED64 17, 0, user_word
    USER64 user_dword, 2+EFLAGS_AC
    TRAPPED64 17, 0, user_dword_at
    USER64 user_qword, 2+EFLAGS_AC
    TRAPPED64 17, 0, user_qword_at
    USER64 user_push, 2+EFLAGS_AC
    TRAPPED64 17, 0, user_push_at
    USER64 user_fine, 2+EFLAGS_AC
    TRAPPED64 0x80, 0, user_fine_end
    # CPL 0 is free of it, with AC set.
    push 2+EFLAGS_AC
    popfq
    mov eax, [DATA+1]
    PASS64
.section .user, "ax"
user_word:
    mov ax, [AREA+1]
    int 0x80
user_word_end:
user_dword:
    mov eax, [AREA]
user_dword_at:
    mov [AREA+2], eax
user_qword:
    mov rax, [AREA+8]
user_qword_at:
    add qword ptr [AREA+4], 1
user_push:
    sub rsp, 4
user_push_at:
    push rax
user_fine:
    mov al, [AREA+1]
    mov ax, [AREA+2]
    mov eax, [AREA+4]
    lea rax, [AREA+1]
    int 0x80
user_fine_end:
    nop
