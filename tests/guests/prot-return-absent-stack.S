# RETF to CPL 3 with a stack segment that is not present: #SS with its selector.
# differs: qemu: it raises #NP
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x72, 12
    push FREE0+3
    push USER_STACK
    push UCODE32
    push offset user
    FAULT32 12, FREE0, retf
    EQ32 [TRAP_CS], KCODE32
    PASS32

.section .user, "ax"
user:
    int 0x80
