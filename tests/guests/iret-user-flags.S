# IRET and POPF at CPL 3 in 64-bit mode: IF only with IOPL 3, IOPL never; IRET clears data segments that are too
# privileged.
# expect: exit=0x10
.include "long.inc"
main:
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov eax, UDATA
    mov fs, eax
    mov eax, KCODE32
    mov gs, eax
    USER64 user, 0x202
    TRAPPED64 0x80, 0, user_end
    EQ64 rax, 0x246
    EQ64 rbx, 0
    EQ64 rcx, 0
    EQ64 rdx, UDATA
    EQ64 rsi, 0
    EQ64 rdi, 0x246
    USER64 user, 0x3002
    EQ64 rax, 0x3046
    EQ64 rdi, 0x3246
    PASS64
.section .user, "ax"
user:
    xor ebx, ebx
    mov bx, ds
    xor ecx, ecx
    mov cx, es
    xor edx, edx
    mov dx, fs
    xor esi, esi
    mov si, gs
    push 0x46                       # IF and IOPL clear
    popfq
    pushfq
    pop rax
    mov r8, rsp
    push UDATA
    push r8
    push 0x1246                     # IF set, IOPL 1
    push UCODE64
    push offset 1f
    iretq
1:  pushfq
    pop rdi
    int 0x80
user_end:
    nop
