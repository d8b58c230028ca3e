# A task switch clears the local enable bits of DR7 and keeps the global ones.
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, second
    mov eax, DATA
    mov dr0, eax
    mov dr1, eax
    mov eax, 0x705                  # L0, L1, LE, GE
    or eax, 8
    mov dr7, eax
    call FREE0:0
    mov eax, [RESULTS]
    and eax, 0xff
    EQ32 eax, 8                     # G1 alone
    mov eax, dr7
    and eax, 0xff
    EQ32 eax, 8                     # and they do not come back
    PASS32
second:
    mov eax, dr7
    mov [RESULTS], eax
    iretd
