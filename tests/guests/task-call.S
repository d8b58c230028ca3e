# CALL to a TSS nests: NT and the link are set, the caller stays busy, IRET returns and frees the task.
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, second
    call FREE0:0
    movzx eax, byte ptr [gdt_free+5]
    EQ32 eax, 0x89
    mov eax, [TASK2+TSS_EFLAGS]
    and eax, EFLAGS_NT
    EQ32 eax, 0                     # IRET cleared NT in what it saved
    pushfd
    pop eax
    and eax, EFLAGS_NT
    EQ32 eax, 0
    # The task goes on behind its IRET.
    call FREE0:0
    EQ32 [RESULTS], 2
    # IRET with NT and a bad link
    push 2+EFLAGS_NT
    popfd
    mov word ptr [TSS], KDATA
    FAULT32 10, KDATA, iretd
    push 2+EFLAGS_NT
    popfd
    mov word ptr [TSS], FREE0       # available: IRET wants a busy one
    FAULT32 10, FREE0, iretd
    push 2+EFLAGS_NT
    popfd
    mov word ptr [TSS], 0
    FAULT32 10, 0, iretd
    PASS32
second:
    inc dword ptr [RESULTS]
    pushfd
    pop ebx
    and ebx, EFLAGS_NT
    EQ32 ebx, EFLAGS_NT
    movzx ebx, word ptr [TASK2+TSS_LINK]
    EQ32 ebx, TSS_SEL
    movzx eax, byte ptr [gdt+TSS_SEL+5]
    EQ32 eax, 0x8b
    movzx eax, byte ptr [gdt_free+5]
    EQ32 eax, 0x8b
    # A busy task can't be entered.
    FAULT32 13, TSS_SEL, jmp TSS_SEL:0
    FAULT32 13, FREE0, call FREE0:0
    push 2+EFLAGS_NT                # the recorder has cleared it
    popfd
    iretd
    jmp second
