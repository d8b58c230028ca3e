# A double fault on a stack of its own (IST), after the stack pointer went wild: what a 64-bit kernel relies on.
# expect: exit=0x10
.include "long.inc"
main:
    mov qword ptr [TSS+0x24+8*6], IST_STACK     # IST7
    GATE64 8, vectors64+8*8, 0x8e, 7
    EXPECT64 1f
    mov rsp, 0x7000000000           # nothing is mapped there
at: push rax                        # #PF, then #PF in its delivery
    FAIL64
1:  TRAPPED64 8, 0, at
    EQ64 [TRAP_FRAME], IST_STACK-40
    mov rax, 0x7000000000
    EQ64 [TRAP_SP], rax
    # A non-canonical stack: #SS, then #SS in its delivery
    EXPECT64 1f
    mov rsp, 0x900000000000
at2:
    push rax
    FAIL64
1:  TRAPPED64 8, 0, at2
    # The stack pointer is aligned before the frame is pushed, IST or not.
    mov qword ptr [TSS+0x24], IST_STACK-0x100+7
    GATE64 6, vectors64+6*8, 0x8e, 1
    FAULT64 6, 0, ud2
    EQ64 [TRAP_FRAME], IST_STACK-0x100-40
    # IST applies to CPL 3 as well, in place of RSP0.
    USER64 user
    TRAPPED64 6, 0, user
    EQ64 [TRAP_FRAME], IST_STACK-0x100-40
    EQ64 [TRAP_HANDLER_SS], 0
    PASS64
.section .user, "ax"
user:
    ud2
