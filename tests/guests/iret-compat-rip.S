# IRETQ and RETFQ to compatibility mode take the lower halves of RIP and RSP alone.
# differs: qemu: it keeps the upper half of RIP
# expect: exit=0x10
.include "long.inc"
main:
    mov ebx, 1
    shl rbx, 32
    push UDATA
    lea rax, [rbx+USER_STACK]
    push rax
    push 2
    push UCODE32
    lea rax, [rbx+user]
    push rax
    EXPECT64 1f
    iretq
1:  TRAPPED64 0x80, 0, user_end
    EQ64 rcx, USER_STACK-4
    mov rsp, BOOT_STACK
    push KCODE32
    lea rax, [rbx+kernel]
    push rax
    EXPECT64 1f
    retfq
1:  TRAPPED64 0x60, 0, kernel_end
    PASS64
.code32
kernel:
    int 0x60
kernel_end:
.section .user, "ax"
user:
    push eax
    mov ecx, esp
    int 0x80
user_end:
    nop
.code64
