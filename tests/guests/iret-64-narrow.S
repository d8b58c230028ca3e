# IRETD and IRETW in 64-bit mode pop five doublewords or words: RSP and SS as well, at the same privilege too.
# differs: bochs: narrow forms leave RSP and SS alone
# expect: exit=0x10
.include "long.inc"
main:
    sub rsp, 20
    mov dword ptr [rsp], offset 1f
    mov dword ptr [rsp+4], KCODE64
    mov dword ptr [rsp+8], 0x46
    mov dword ptr [rsp+12], BOOT_STACK-0x100
    mov dword ptr [rsp+16], KDATA
    iretd
1:  pushfq
    pop rax
    EQ64 rax, 0x46
    mov rax, rsp
    EQ64 rax, BOOT_STACK-0x100
    mov rsp, BOOT_STACK
    sub rsp, 10
    mov word ptr [rsp], offset 1f
    mov word ptr [rsp+2], KCODE64
    mov word ptr [rsp+4], 2
    mov word ptr [rsp+6], BOOT_STACK-0x200
    mov word ptr [rsp+8], KDATA
    iretw
1:  mov rax, rsp
    EQ64 rax, BOOT_STACK-0x200
    # outward to compatibility mode by IRETD
    mov rsp, BOOT_STACK
    sub rsp, 20
    mov dword ptr [rsp], offset user
    mov dword ptr [rsp+4], UCODE32
    mov dword ptr [rsp+8], 0x202
    mov dword ptr [rsp+12], USER_STACK-16
    mov dword ptr [rsp+16], UDATA
    EXPECT64 1f
    iretd
1:  TRAPPED64 0x80, 0, user_end
    EQ64 [TRAP_SP], USER_STACK-16
    PASS64
.section .user, "ax"
user:
    int 0x80
user_end:
    nop
