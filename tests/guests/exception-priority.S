# When several exceptions are due: the fetch of an instruction comes before its execution, #UD before the operands, the
# privilege before the operands.
# differs: qemu: LOCK MOV reads its operand before #UD
# expect: exit=0x10
.include "long.inc"
main:
    PTE DATA, 0
    # #GP for privilege before the page fault of the operand
    USER64 user_lgdt
    TRAPPED64 13, 0, user_lgdt
    # #UD before the page fault of the operand
    FAULT64 6, 0, .byte 0xf0, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00      # LOCK MOV EAX, [DATA]
    # The divisor's page fault before #DE
    xor eax, eax
    FAULT64 14, 0, div dword ptr [DATA]
    # A segment load: the operand's page fault before the descriptor's #GP
    FAULT64 14, 0, mov fs, [DATA]
    # MOVS: the source before the destination
    mov esi, DATA
    mov edi, DATA+0x800
    FAULT64 14, 0, movsb
    EQ64 [TRAP_CR2], DATA
    # XCHG reads and writes the same page: a write
    FAULT64 14, 2, lock xchg [DATA], eax
    # The page fault of an instruction's first byte before everything
    EXPECT64 1f
    push 2+EFLAGS_TF
    mov eax, DATA
    popfq
    jmp rax
1:  EQ64 [TRAP_VEC], 1              # the jump's own trap comes first
    EQ64 [TRAP_IP], DATA
    PASS64
.section .user, "ax"
user_lgdt:
    lgdt [DATA]
