# IRET in 64-bit mode: always pops RSP and SS, a null SS is fine at CPL 0 for 64-bit code alone, and the
# refusals; NT is #GP.
# differs: qemu: it returns to CPL 3 with a null SS
# expect: exit=0x10
.include "long.inc"
.macro FRAME ss, sp, flags, cs, ip
    push \ss
    push \sp
    push \flags
    push \cs
    push offset \ip
.endm
.macro REFUSED error, ss, cs
    FRAME \ss, USER_STACK, 2, \cs, user
    FAULT64 13, \error, iretq
    EQ64 [TRAP_CS], KCODE64
    mov rsp, BOOT_STACK
.endm
main:
    FRAME KDATA, BOOT_STACK-0x100, 0x3cd7, KCODE64, 1f
    iretq
1:  pushfq
    cld
    pop rax
    EQ64 rax, 0x3cd7
    mov rax, rsp
    EQ64 rax, BOOT_STACK-0x100
    mov rsp, BOOT_STACK
    # A null SS
    FRAME 0, BOOT_STACK, 2, KCODE64, 1f
    iretq
1:  xor eax, eax
    mov ax, ss
    EQ64 rax, 0
    push rax                        # and the stack works
    pop rax
    REFUSED 0, UDATA, 0
    REFUSED 0, 0, UCODE64           # a null SS for CPL 3
    REFUSED 0, 3, UCODE64
    REFUSED 0, 0, KCODE32           # a null SS for compatibility mode
    REFUSED 0x20, UDATA-3, UCODE64
    REFUSED KDATA, KDATA, UCODE64
    REFUSED KCODE64, UDATA, KCODE64+3
    REFUSED 0x28, UDATA, UCODE64-3
    REFUSED UDATA-3, UDATA, UDATA
    # A non-canonical RIP
    FRAME KDATA, BOOT_STACK, 2, KCODE64, 1f
    mov rax, 0x800000000000
    mov [rsp], rax
    FAULT64 13, 0, iretq
    mov rsp, BOOT_STACK
    FRAME KDATA, BOOT_STACK, 2, KCODE64, 1f
    push 2+EFLAGS_NT
    popfq
    FAULT64 13, 0, iretq
1:  mov rsp, BOOT_STACK
    # VM in the saved flags is ignored.
    FRAME KDATA, BOOT_STACK, 2+EFLAGS_VM, KCODE64, 1f
    iretq
1:  pushfq
    pop rax
    EQ64 rax, 2
    PASS64
.section .user, "ax"
user:
    int 0x80
