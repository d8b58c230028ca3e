# Accessed and dirty bits when the access faults: D is not set by a write that the permissions refuse.
# expect: exit=0x10
.include "long.inc"
.set E1, PT_LOW+(DATA>>12)*8
main:
    mov rax, cr0
    bts rax, 16                     # WP
    mov cr0, rax
    PTE DATA, DATA+P_
    FAULT64 14, 3, mov dword ptr [DATA], 1
    mov rax, [E1]
    and eax, D_
    EQ64 rax, 0
    PTE DATA, DATA+P_+RW
    USER64 user
    TRAPPED64 14, 7, user
    mov rax, [E1]
    and eax, D_
    EQ64 rax, 0
    # The second page of a crossing write is read-only: the first one's D may or may not be set, the second's not.
    PTE DATA, DATA+P_+RW
    PTE DATA+0x1000, DATA+0x1000+P_
    FAULT64 14, 3, mov qword ptr [DATA+0xffc], rax
    mov rax, [E1+8]
    and eax, D_
    EQ64 rax, 0
    PASS64
.section .user, "ax"
user:
    mov dword ptr [DATA], 1
