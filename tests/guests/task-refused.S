# Bad TSSs and bad state in them: #GP, #NP before the switch; #TS, #NP, #SS in the context of the new task, with the
# selector as error code.
# differs: qemu: it faults half way through the new state
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
# The exception comes back to this task by a task gate, and so to the instruction behind the jump.
.macro BAD field, value, vector, error
    TASK_FREE 0
    TASK 0, second
    mov dword ptr [TASK2+\field], \value
    mov dword ptr [IDT+\vector*8], TSS_SEL << 16
    mov dword ptr [IDT+\vector*8+4], 0x8500
    jmp FREE0:0
    pop eax
    EQ32 eax, \error
    push 2                          # clears NT
    popfd
    EQ32 [TASK2+TSS_EIP], "offset second"   # before the new task's first instruction
    movzx eax, word ptr [TSS]
    EQ32 eax, FREE0
    GATE32 \vector, vectors32+\vector*8
    mov dword ptr [TASK2+\field], 0
.endm
main:
    DESCRIPTOR 1, TASK2, 0x66, 0x89
    DESCRIPTOR 2, TASK2, 0x67, 0x09
    DESCRIPTOR 3, 0, 0xfffff, 0x12, 12          # absent data
    DESCRIPTOR 4, 0, 0xfffff, 0x1a, 12          # absent code
    DESCRIPTOR 5, 0, 0xfff, 0x02                # absent LDT
    TASK 0, second
    FAULT32 10, FREE1, jmp FREE1:0  # too short
    FAULT32 11, FREE2, jmp FREE2:0
    str eax
    EQ32 eax, TSS_SEL
    BAD TSS_CS, 0, 10, 0
    BAD TSS_CS, KDATA, 10, KDATA
    BAD TSS_CS, FREE4, 11, FREE4
    BAD TSS_DS, FREE3, 11, FREE3
    BAD TSS_ES, TSS_SEL, 10, TSS_SEL
    BAD TSS_FS, 0x400, 10, 0x400
    BAD TSS_LDT, KDATA, 10, KDATA
    BAD TSS_LDT, FREE5, 10, FREE5
    PASS32
second:
    FAIL32
