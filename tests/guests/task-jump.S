# JMP to a TSS: the whole register state is saved and loaded, the busy bit moves, NT and the link stay clear, CR0.TS
# is set.
# differs: qemu: it saves flags that it has not computed
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, second
    mov dword ptr [TASK2+TSS_EAX], 0x11
    mov dword ptr [TASK2+TSS_ECX], 0x22
    mov dword ptr [TASK2+TSS_FS], UDATA
    mov dword ptr [TASK2+TSS_EFLAGS], 0x46
    mov ecx, 0x1234
    mov ebp, 0x5678
    mov eax, KDATA
    mov gs, eax
    mov eax, 0x9abc
    cmp eax, eax
    stc
    jmp FREE0:0x12345678            # the offset is ignored
back:
    EQ32 eax, 0x9abc
    EQ32 ecx, 0x1234
    EQ32 ebp, 0x5678
    mov eax, esp
    EQ32 eax, BOOT_STACK
    mov eax, gs
    EQ32 eax, KDATA
    mov eax, fs
    EQ32 eax, 0
    str eax
    EQ32 eax, TSS_SEL
    movzx eax, byte ptr [gdt_free+5]
    EQ32 eax, 0x89
    EQ32 [TASK2+TSS_EIP], "offset second_end"
    EQ32 [TASK2+TSS_EAX], 0x8b
    PASS32
second:
    pushfd
    pop ebx
    EQ32 ebx, 0x46
    EQ32 eax, 0x11
    EQ32 ecx, 0x22
    mov ebx, esp
    EQ32 ebx, TASK2_STACK
    mov ebx, fs
    EQ32 ebx, UDATA
    str ebx
    EQ32 ebx, FREE0
    mov ebx, cr0
    and ebx, 8
    EQ32 ebx, 8
    clts
    # What the first task left
    EQ32 [TSS+TSS_EIP], "offset back"
    mov ebx, [TSS+TSS_EFLAGS]
    EQ32 ebx, 0x47
    EQ32 [TSS+TSS_EAX], 0x9abc
    EQ32 [TSS+TSS_ESP], BOOT_STACK
    EQ32 [TSS+TSS_CS], KCODE32
    EQ32 [TSS+TSS_GS], KDATA
    EQ32 [TSS+TSS_LINK], 0
    EQ32 [TASK2+TSS_LINK], 0
    movzx eax, byte ptr [gdt+TSS_SEL+5]
    EQ32 eax, 0x89
    movzx eax, byte ptr [gdt_free+5]
    EQ32 eax, 0x8b
    jmp TSS_SEL:0
second_end:
