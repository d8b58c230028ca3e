# SYSCALL and SYSRET in 64-bit mode: RCX, R11, the flags' mask, flat selectors from STAR, no stack switch.
# differs: qemu: it forgets arithmetic flags that it has not computed
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    FAULT64 6, 0, syscall           # EFER.SCE is clear
    FAULT64 6, 0, sysretq
    SYSCALL_ON entry, 0x300         # IF and TF go
    mov rcx, offset user
    mov r11d, 0x3ed7                # IOPL 3, OF DF IF and the arithmetic flags
    mov esp, USER_STACK-64
    sysretq
entry:
    pushfq                          # still the user's stack
    pop r8
    mov r9, rsp
    mov esp, BOOT_STACK
    cld
    EQ64 rcx, "offset user_end"
    EQ64 r11, 0x3ed7
    EQ64 r8, 0x3cd7
    EQ64 r9, USER_STACK-64
    EQ64 rax, UCODE64
    EQ64 rbx, UDATA
    EQ64 rdx, 0x3ed7
    xor eax, eax
    mov ax, cs
    EQ64 rax, KCODE64
    mov ax, ss
    EQ64 rax, KDATA
    PASS64
.section .user, "ax"
user:
    xor eax, eax
    mov ax, cs
    xor ebx, ebx
    mov bx, ss
    mov r8, rsp
    mov esp, USER_STACK-128
    push 0x3ed7
    popfq
    pushfq
    pop rdx
    lea rsp, [r8]
    syscall
user_end:
    nop
