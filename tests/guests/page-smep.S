# SMEP: CPL 0 may not fetch from a user page; the error code has P and I/D; data and CPL 3 are as before.
# expect: exit=0x10
.include "long.inc"
main:
    mov edi, offset user_return
    call rdi                        # without SMEP it works
    mov rax, cr4
    bts rax, 20
    mov cr4, rax
    EXPECT64 1f
    call rdi
1:  TRAPPED64 14, 0x11, user_return
    EQ64 [TRAP_CR2], "offset user_return"
    mov al, [user_return]
    USER64 user
    TRAPPED64 0x80, 0, user_end
    mov rax, cr4
    btr rax, 20
    mov cr4, rax
    mov edi, offset user_return
    call rdi                        # at once
    # An absent user page: the fetch bit without the present bit, because SMEP is on
    bts rax, 20
    mov cr4, rax
    PTE DATA, 0
    EXPECT64 1f
    jmp DATA
1:  TRAPPED64 14, 0x10, DATA
    PASS64
.section .user, "ax"
user_return:
    ret
user:
    int 0x80
user_end:
    nop
