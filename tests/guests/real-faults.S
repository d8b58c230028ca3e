# Exceptions in real mode have no error code and, as faults, save the address of their own instruction.
# expect: exit=0x10
.include "real.inc"
main:
    FAULT16 6, ud2
    xor cx, cx
    FAULT16 0, div cl
    mov ax, 0x1000
    mov cl, 1
    FAULT16 0, div cl               # the quotient does not fit
    mov ax, 0x8000
    cwd
    mov cx, -1
    FAULT16 0, idiv cx
    FAULT16 0, aam 0
    # BOUND: an index outside of the bounds
    mov word ptr [RESULTS], 2
    mov word ptr [RESULTS+2], 5
    mov ax, 6
    FAULT16 5, bound ax, [RESULTS]
    mov ax, 1
    FAULT16 5, bound ax, [RESULTS]
    mov ax, 5
    bound ax, [RESULTS]
    mov ax, 2
    bound ax, [RESULTS]
    # privileged and protected-mode instructions
    FAULT16 6, lldt ax
    FAULT16 6, ltr ax
    FAULT16 6, str ax
    FAULT16 6, verr ax
    FAULT16 6, lar ax, ax
    FAULT16 6, arpl ax, ax
    # traps save the address behind
    EXPECT16 1f
    int3
behind_int3:
    FAIL16
1:  TRAPPED16 3, behind_int3
    EXPECT16 1f
    mov al, 0x7f
    add al, 1
    into
behind_into:
    FAIL16
1:  TRAPPED16 4, behind_into
    xor al, al
    into                            # no overflow, no trap
    EQ16 [TRAP_COUNT], 15
    PASS16
