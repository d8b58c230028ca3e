# INT1 (0xF1) raises #DB as a trap, whatever the gate's DPL, and leaves DR6 alone.
# differs: qemu: it takes the instruction for its own debugger's
# expect: exit=0x10
.include "prot.inc"
main:
    xor eax, eax
    mov dr6, eax
    mov edi, dr6
    USER32 user
    TRAPPED32 1, 0, user_end
    EQ32 [TRAP_CS], UCODE32
    EXPECT32 1f
    .byte 0xf1
behind:
    FAIL32
1:  TRAPPED32 1, 0, behind
    mov eax, dr6
    EQ32 eax, edi
    PASS32

.section .user, "ax"
user:
    .byte 0xf1
user_end:
    nop
