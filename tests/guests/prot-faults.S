# Faults in 32-bit protected mode: frame of three doublewords at the same privilege, five from CPL 3.
# expect: exit=0x10
.include "prot.inc"
main:
    FAULT32 6, 0, ud2
    EQ32 [TRAP_CS], KCODE32
    EQ32 [TRAP_FRAME], BOOT_STACK-12
    xor ecx, ecx
    FAULT32 0, 0, div ecx
    EXPECT32 1f
    int3
behind_int3:
    FAIL32
1:  TRAPPED32 3, 0, behind_int3
    mov al, 0x7f
    add al, 1
    EXPECT32 1f
    into
behind_into:
    FAIL32
1:  TRAPPED32 4, 0, behind_into
    mov dword ptr [RESULTS], 10
    mov dword ptr [RESULTS+4], 20
    mov eax, 21
    FAULT32 5, 0, bound eax, [RESULTS]
    mov eax, 20
    bound eax, [RESULTS]
    # From CPL 3 by way of the TSS's stack
    USER32 user
    TRAPPED32 0x80, 0, user_end
    EQ32 [TRAP_CS], UCODE32
    EQ32 [TRAP_SS], UDATA
    EQ32 [TRAP_SP], USER_STACK-4
    EQ32 [TRAP_FRAME], TSS_STACK-20
    EQ32 [TRAP_HANDLER_SS], KDATA
    EQ32 [USER_STACK-4], 0x1234
    PASS32

.section .user, "ax"
user:
    push 0x1234
    int 0x80
user_end:
