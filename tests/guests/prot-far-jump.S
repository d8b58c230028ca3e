# Far jumps: code must have DPL = CPL and RPL <= CPL, conforming code DPL <= CPL; the error codes of all refusals.
# expect: exit=0x10
.include "prot.inc"
.set FREE0_RPL3, FREE0+3
.set FREE1_RPL3, FREE1+3
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x9a, 12
    DESCRIPTOR 1, 0, 0xfffff, 0xfa, 12          # DPL 3
    DESCRIPTOR 2, 0, 0xfffff, 0x9e, 12          # conforming
    DESCRIPTOR 3, 0, 0xfffff, 0x1a, 12          # absent
    DESCRIPTOR 4, 0, 0xfffff, 0x92, 12          # data
    DESCRIPTOR 5, 0, 0xfffff, 0xfe, 12          # conforming, DPL 3
    jmp FREE0:1f
1:  mov eax, cs
    EQ32 eax, FREE0
    jmp KCODE32:1f
1:  jmp FREE2:1f
1:  mov eax, cs
    EQ32 eax, FREE2
    jmp KCODE32:1f
1:  FAULT32 13, 0, jmp 0:1b
    FAULT32 13, 0, jmp 3:1b
    FAULT32 13, FREE0, jmp FREE0_RPL3:1b   # RPL > CPL
    FAULT32 13, FREE1, jmp FREE1:1b
    FAULT32 13, FREE1, jmp FREE1_RPL3:1b
    FAULT32 11, FREE3, jmp FREE3:1b
    FAULT32 13, FREE4, jmp FREE4:1b
    FAULT32 13, FREE5, jmp FREE5:1b # conforming, but less privileged
    FAULT32 13, 0x200, jmp 0x200:1b
    # CALL: the same checks, and nothing is pushed.
    FAULT32 13, FREE1, call FREE1:1b
    mov eax, esp
    EQ32 eax, BOOT_STACK
    # CPL 3 runs DPL 0 conforming code at CPL 3.
    USER32 user
    TRAPPED32 0x80, 0, done
    EQ32 [TRAP_CS], FREE2+3
    USER32 user_ring0
    TRAPPED32 13, KCODE32, user_ring0
    PASS32

.section .user, "ax"
user:
    jmp FREE2:1f
1:  int 0x80
done:
user_ring0:
    jmp KCODE32:1b
