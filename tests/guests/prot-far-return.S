# RETF: to the same privilege, with an immediate, to CPL 3 with a stack switch and data segments that are cleared,
# and its refusals.
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x9a, 12
    DESCRIPTOR 1, 0, 0xfffff, 0x1a, 12
    push 0x111
    push 0x222
    push FREE0
    push offset 1f
    retf 8
1:  mov eax, esp
    EQ32 eax, BOOT_STACK
    mov eax, cs
    EQ32 eax, FREE0
    jmp KCODE32:1f
1:  push 0
    push 0
    FAULT32 13, 0, retf
    mov dword ptr [esp+4], FREE1
    FAULT32 11, FREE1, retf
    mov dword ptr [esp+4], KDATA
    FAULT32 13, KDATA, retf
    mov esp, BOOT_STACK
    # Outward: DS and FS hold kernel data and are cleared, GS may stay.
    mov eax, KDATA
    mov fs, eax
    mov eax, UDATA
    mov gs, eax
    EXPECT32 1f
    push UDATA
    push USER_STACK-8
    push 0x333
    push UCODE32
    push offset user
    retf 4
1:  TRAPPED32 0x80, 0, user_end
    EQ32 [TRAP_CS], UCODE32
    EQ32 [TRAP_SP], USER_STACK-4                # the immediate counts on both stacks
    EQ32 [TRAP_SS], UDATA
    EQ32 ebx, 0
    EQ32 ecx, 0
    EQ32 edx, UDATA
    # A bad outer stack: the selector is the error code, the return has not happened.
    push KDATA
    push USER_STACK
    push UCODE32
    push offset user
    FAULT32 13, KDATA, retf
    EQ32 [TRAP_CS], KCODE32
    mov esp, BOOT_STACK
    push 0
    push USER_STACK
    push UCODE32
    push offset user
    FAULT32 13, 0, retf
    PASS32

.section .user, "ax"
user:
    mov ebx, ds
    mov ecx, fs
    mov edx, gs
    int 0x80
user_end:
