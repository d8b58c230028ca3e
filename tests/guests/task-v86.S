# A task in virtual-8086 mode: entered by a switch whose EFLAGS have VM, left by an interrupt through a task gate.
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, code-0x8000
    mov dword ptr [TASK2+TSS_EFLAGS], EFLAGS_VM+0x3002
    mov dword ptr [TASK2+TSS_CS], 0x800
    mov dword ptr [TASK2+TSS_SS], 0x5000
    mov dword ptr [TASK2+TSS_ESP], 0x1000
    mov dword ptr [TASK2+TSS_DS], 0x1234
    mov dword ptr [TASK2+TSS_ES], 0x2345
    mov dword ptr [TASK2+TSS_FS], 0x3456
    mov dword ptr [TASK2+TSS_GS], 0x4567
    mov dword ptr [TASK2+4], 0x6e000
    mov dword ptr [TASK2+8], KDATA
    mov dword ptr [gdt_free+8], TSS_SEL << 16
    mov dword ptr [gdt_free+12], 0xe500
    # INT 0x60 there comes back here by a task gate.
    mov dword ptr [IDT+0x60*8], TSS_SEL << 16
    mov dword ptr [IDT+0x60*8+4], 0xe500
    jmp FREE0:0
    pushfd
    pop eax
    and eax, EFLAGS_VM+EFLAGS_NT
    EQ32 eax, EFLAGS_NT             # nested in the task that was left
    movzx eax, word ptr [TSS]
    EQ32 eax, FREE0
    mov eax, [TASK2+TSS_EFLAGS]
    and eax, EFLAGS_VM
    EQ32 eax, EFLAGS_VM
    EQ32 [TASK2+TSS_EIP], "offset code_end - 0x8000"
    movzx eax, word ptr [TASK2+TSS_CS]
    EQ32 eax, 0x800
    movzx eax, word ptr [TASK2+TSS_DS]
    EQ32 eax, 0x1234
    EQ32 [TASK2+0x28], 0x2345
    # IRET goes on there.
    mov dword ptr [RESULTS], 1
    iretd
    EQ32 [TASK2+0x28], 0x4567
    PASS32
.code16
code:
    mov ax, es
    movzx eax, ax
    int 0x60
code_end:
    mov ax, gs
    int 0x60
.code32
