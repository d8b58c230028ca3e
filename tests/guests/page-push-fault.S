# PUSH, CALL, ENTER, POP and RET that fault leave RSP, RBP and RIP as they were, and start again without harm. The
# recorder gets a stack from the IST.
# expect: exit=0x10
.include "long.inc"
.set GONE, DATA+0x1000
.macro STACK_FAULT error, sp, insn:vararg
    EXPECT64 .Lresume\@
    mov esp, \sp
.Lat\@:
    \insn
    FAIL64
.Lresume\@:
    TRAPPED64 14, \error, .Lat\@
    EQ64 [TRAP_SP], (\sp)
.endm
main:
    mov qword ptr [TSS+0x24], IST_STACK
    GATE64 14, vectors64+14*8, 0x8e, 1
    PTE GONE, 0
    STACK_FAULT 2, GONE+0x800, push rax
    STACK_FAULT 2, GONE+0x800, pushw ax
    STACK_FAULT 2, GONE+0x800, push 5
    STACK_FAULT 2, GONE+0x800, push [RESULTS]
    STACK_FAULT 2, GONE+0x800, pushfq
    STACK_FAULT 2, GONE+0x800, call main
    STACK_FAULT 2, GONE+0x800, call rbx
    mov ebp, 0x77
    STACK_FAULT 2, GONE+0x800, enter 16, 0
    EQ64 rbp, 0x77
    STACK_FAULT 0, GONE+0x800, pop rax
    STACK_FAULT 0, GONE+0x800, popfq
    STACK_FAULT 0, GONE+0x800, ret
    STACK_FAULT 0, GONE+0x800, ret 16
    STACK_FAULT 0, GONE+0x800, iretq
    mov ebp, GONE+0x10
    STACK_FAULT 0, DATA+0x800, leave
    EQ64 rbp, GONE+0x10
    # POP to a memory operand that faults: RSP has not moved.
    mov qword ptr [DATA+0x800], 0x1234
    STACK_FAULT 2, DATA+0x800, pop [GONE]
    STACK_FAULT 0, DATA+0x800, push [GONE]
    # PUSH from an absent page onto an absent stack: the source is read first.
    STACK_FAULT 0, GONE+0x800, push [GONE+0x10]
    EQ64 [TRAP_CR2], GONE+0x10
    # A frame of two pages: CALL at the very start of a page pushes to the page below.
    STACK_FAULT 2, GONE+0x1000, push rax
    EQ64 [TRAP_CR2], GONE+0xff8
    PASS64
