# SYSENTER and SYSEXIT in 64-bit mode: selectors from one MSR, SYSEXIT to 64-bit and to compatibility mode.
# differs: qemu: its CPU is AMD's, without SYSENTER in 64-bit mode
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    FAULT64 13, 0, sysenter         # a null selector
    FAULT64 13, 0, sysexitd
    MSR MSR_SYSENTER_CS, KCODE64
    MSR MSR_SYSENTER_ESP, BOOT_STACK-64
    MSR MSR_SYSENTER_EIP, "offset entry"
    mov edx, offset user
    mov ecx, USER_STACK
    mov ebp, offset 1f
    sti
    sysexitq
1:  EQ64 rax, 0x46
    EQ64 rbx, KCODE64
    EQ64 rsi, KDATA
    EQ64 rdi, BOOT_STACK-64
    EQ64 r8, UCODE64
    EQ64 r9, UDATA64
    EQ64 r10, USER_STACK
    mov rdx, 0x800000000000
    FAULT64 13, 0, sysexitq         # not canonical
    # to compatibility mode and from there
    mov edx, offset user32
    mov ecx, USER_STACK
    mov ebp, offset 1f
    sysexitd
1:  EQ64 rbx, KCODE64
    EQ64 rcx, UCODE32
    EQ64 rdi, BOOT_STACK-64
    PASS64
entry:
    mov rdi, rsp
    pushfq
    pop rax
    xor ebx, ebx
    mov bx, cs
    xor esi, esi
    mov si, ss
    mov esp, BOOT_STACK
    jmp rbp
.section .user, "ax"
user:
    xor r8d, r8d
    mov r8w, cs
    xor r9d, r9d
    mov r9w, ss
    mov r10, rsp
    cmp eax, eax
    sysenter
.code32
user32:
    xor ecx, ecx
    mov cx, cs
    sysenter
.code64
