# Sweep: POPFD, POPF, IRETD and IRETW of every single flag, set and clear, at CPL 0 and 3 and with each IOPL: what sticks.
# expect: exit=0x10 mem[0x600]=0x2dfcfd8a mem[0x608]=560
.include "prot.inc"
.include "sweep.inc"
# TF, NT, VM, VIF and VIP aside, which do more than stick
.set SWEPT, 0x243ed7
.macro USER_TRY label
    mov eax, edi
    shl eax, 12
    or eax, 2
    EXPECT32 .Lback\@
    push UDATA
    pop ds
    push UDATA
    push USER_STACK
    push eax
    push UCODE32
    push offset \label
    iretd
.Lback\@:
    mov eax, esi
    OUTCOME32
.endm
main:
    xor ebp, ebp                    # which bit; 32: none
1:  xor edx, edx
    cmp ebp, 32
    jae 2f
    bts edx, ebp
    and edx, SWEPT
    jz 9f
2:  xor edi, edi                    # IOPL
3:  mov ebx, edx                    # flag alone, then all but it
    mov ecx, 2
4:  # CPL 0
    push ebx
    popfd
    pushfd
    pop esi
    push 2
    popfd
    mov eax, esi
    OUTCOME32
    push bx
    popfw
    pushfd
    pop esi
    push 2
    popfd
    mov eax, esi
    OUTCOME32
    USER_TRY user_popfd
    USER_TRY user_popf
    USER_TRY user_iretd
    xor ebx, SWEPT
    dec ecx
    jnz 4b
    inc edi
    cmp edi, 4
    jne 3b
9:  inc ebp
    cmp ebp, 33
    jne 1b
    PASS32
.section .user, "ax"
user_popfd:
    push ebx
    popfd
    pushfd
    pop esi
    int 0x80
user_popf:
    push bx
    popfw
    pushfd
    pop esi
    int 0x80
user_iretd:
    push ebx
    push UCODE32
    push offset 1f
    iretd
1:  pushfd
    pop esi
    int 0x80
