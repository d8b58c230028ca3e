# 64-bit call gates: sixteen bytes, no parameters, a null SS inside, and RETFQ back out; the refusals.
# expect: exit=0x10
.include "long.inc"
.macro GATE n, target, selector, access
    mov dword ptr [gdt_free+8*\n], (\selector << 16)
    mov word ptr [gdt_free+8*\n], offset \target
    mov dword ptr [gdt_free+8*\n+4], \access << 8
    mov qword ptr [gdt_free+8*\n+8], 0
.endm
main:
    GATE 0, inner, KCODE64, 0xec
    GATE 2, inner, KCODE64, 0x8c
    GATE 4, inner, KCODE32, 0xec
    GATE 6, inner, KCODE64, 0xec
    mov byte ptr [gdt_free+6*8+13], 1           # the upper type must be zero
    mov qword ptr [RESULTS], 0
    mov word ptr [RESULTS+4], FREE0
    call fword ptr [RESULTS]        # at CPL 0: no stack switch
after:
    EQ64 rbx, BOOT_STACK-16
    EQ64 rcx, "offset after"
    EQ64 rdx, KCODE64
    USER64 user
    TRAPPED64 0x80, 0, user_end
    EQ64 rbx, TSS_STACK-32
    EQ64 rcx, "offset user_after"
    EQ64 rdx, UCODE64
    EQ64 rsi, 0
    EQ64 [TSS_STACK-16], USER_STACK-16
    EQ64 [TSS_STACK-8], UDATA
    USER64 user_closed
    TRAPPED64 13, FREE2, user_closed_at
    mov word ptr [RESULTS+4], FREE4
    FAULT64 13, KCODE32, call fword ptr [RESULTS]
    mov word ptr [RESULTS+4], FREE6
    FAULT64 13, FREE6, call fword ptr [RESULTS]
    PASS64
inner:
    mov rbx, rsp
    mov rcx, [rsp]
    mov rdx, [rsp+8]
    xor esi, esi
    mov si, ss
    retfq
.section .user, "ax"
user:
    mov qword ptr [USER_STACK-16], 0
    mov word ptr [USER_STACK-16+4], FREE0
    mov esp, USER_STACK-16
    call fword ptr [USER_STACK-16]
user_after:
    int 0x80
user_end:
user_closed:
    mov word ptr [USER_STACK-16+4], FREE2
user_closed_at:
    call fword ptr [USER_STACK-16]
