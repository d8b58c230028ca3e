# The T bit of a TSS: #DB before the new task's first instruction, with DR6.BT.
# differs: qemu: it ignores the T bit
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, second
    mov word ptr [TASK2+TSS_TRAP], 1
    EXPECT32 1f
    jmp FREE0:0
1:  TRAPPED32 1, 0, second
    mov eax, dr6
    and eax, 0xe00f
    EQ32 eax, 0x8000
    str eax
    EQ32 eax, FREE0
    PASS32
second:
    FAIL32
