# SMAP: CPL 0 may not touch a user page unless EFLAGS.AC is set; STAC and CLAC; what an exception does with AC.
# expect: exit=0x10
.include "long.inc"
.set USER_DATA, USER_STACK-0x1000
main:
    mov rax, cr4
    bts rax, 21
    mov cr4, rax
    FAULT64 14, 1, mov eax, [USER_DATA]
    EQ64 [TRAP_CR2], USER_DATA
    FAULT64 14, 3, mov [USER_DATA], eax
    FAULT64 14, 1, push [USER_DATA]
    stac
    mov eax, [USER_DATA]
    mov dword ptr [USER_DATA], 5
    pushfq
    pop rax
    and eax, EFLAGS_AC
    EQ64 rax, EFLAGS_AC
    # The handler runs with AC as it was, unless it clears it: only IRET and the gate's other flags are the CPU's.
    FAULT64 6, 0, ud2
    mov rax, [TRAP_FLAGS]
    and eax, EFLAGS_AC
    EQ64 rax, EFLAGS_AC
    clac
    FAULT64 14, 3, mov dword ptr [USER_DATA], 6
    # POPF sets AC as well.
    push 2+EFLAGS_AC
    popfq
    mov eax, [USER_DATA]
    clac
    # CPL 3 is not concerned; STAC and CLAC are not for it.
    USER64 user
    TRAPPED64 6, 0, user_stac
    USER64 user_clac
    TRAPPED64 6, 0, user_clac
    # A fetch is not concerned either.
    mov edi, offset user_return
    call rdi
    # String instructions and a page-crossing access
    mov esi, USER_DATA-8
    mov edi, RESULTS
    FAULT64 14, 1, movsq
    EQ64 rsi, USER_DATA-8
    mov rax, cr4
    btr rax, 21
    mov cr4, rax
    mov eax, [USER_DATA]
    PASS64
.section .user, "ax"
user:
    mov eax, [USER_DATA]
    mov [USER_DATA], eax
user_stac:
    stac
user_clac:
    clac
user_return:
    ret
