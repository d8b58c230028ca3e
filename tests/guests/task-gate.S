# Task gates: in the GDT by JMP and CALL, and in the IDT by INT n, where the error code lies on the new task's stack.
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, second
    mov dword ptr [gdt_free+8], FREE0 << 16
    mov dword ptr [gdt_free+12], 0x8500
    mov dword ptr [gdt_free+16], KDATA << 16
    mov dword ptr [gdt_free+20], 0x8500
    mov dword ptr [gdt_free+24], FREE0 << 16
    mov dword ptr [gdt_free+28], 0x0500
    call FREE1:0x1234
    EQ32 [RESULTS], 1
    mov dword ptr [IDT+0x60*8], FREE0 << 16
    mov dword ptr [IDT+0x60*8+4], 0x8500
    int 0x60
    EQ32 [RESULTS], 2
    # #GP with its error code
    mov dword ptr [IDT+13*8], FREE0 << 16
    mov dword ptr [IDT+13*8+4], 0x8500
    mov eax, 0x400
    mov dword ptr [TASK2+TSS_EIP], offset handler
    mov dword ptr [TASK2+TSS_ESP], TASK2_STACK
at: mov fs, eax
resumed:
    GATE32 13, vectors32+13*8
    # Refusals
    FAULT32 13, KDATA, call FREE2:0
    FAULT32 11, FREE3, call FREE3:0
    PASS32
second:
    inc dword ptr [RESULTS]
    iretd
    jmp second
handler:
    mov eax, esp
    EQ32 eax, TASK2_STACK-4
    EQ32 [TASK2_STACK-4], 0x400
    EQ32 [TSS+TSS_EIP], "offset at"
    mov dword ptr [TSS+TSS_EIP], offset resumed
    pop eax
    iretd
