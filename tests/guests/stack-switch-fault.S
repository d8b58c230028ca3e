# Page faults while the CPU switches stacks: RSP0's page absent or read-only on the way from CPL 3 is a page fault that
# can't be delivered there either: a double fault, on its own stack; the frame has the user's state.
# expect: exit=0x10
.include "long.inc"
main:
    mov qword ptr [TSS+0x24], IST_STACK
    GATE64 8, vectors64+8*8, 0x8e, 1
    mov qword ptr [TSS+4], DATA+0x1000
    PTE DATA, 0
    USER64 user
    TRAPPED64 8, 0, user
    EQ64 [TRAP_CS], UCODE64
    EQ64 [TRAP_SP], USER_STACK
    EQ64 [TRAP_CR2], DATA+0xff8
    # With the page fault on a stack of its own, it is the page fault that arrives: a supervisor's write.
    GATE64 14, vectors64+14*8, 0x8e, 1
    USER64 user
    TRAPPED64 14, 2, user
    EQ64 [TRAP_CS], UCODE64
    EQ64 [TRAP_CR2], DATA+0xff8
    # Only the last quadword of the frame lies in the absent page: nothing has changed for the user.
    PTE DATA, DATA+P_+RW
    PTE DATA+0x1000, 0
    mov qword ptr [TSS+4], DATA+0x1010
    USER64 user
    TRAPPED64 14, 2, user
    EQ64 [TRAP_SP], USER_STACK
    # A non-canonical RSP0: #SS, here on the IST
    GATE64 12, vectors64+12*8, 0x8e, 1
    mov rax, 0x800000001000
    mov [TSS+4], rax
    USER64 user
    EQ64 [TRAP_VEC], 12
    EQ64 [TRAP_IP], "offset user"
    # A non-canonical IST entry
    mov [TSS+0x2c], rax
    GATE64 6, vectors64+6*8, 0x8e, 2
    EXPECT64 1f
at: ud2
    FAIL64
1:  EQ64 [TRAP_VEC], 12
    EQ64 [TRAP_IP], "offset at"
    PASS64
.section .user, "ax"
user:
    ud2
