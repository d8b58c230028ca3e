# A task that runs at CPL 3, entered through a task gate from CPL 3, and an interrupt out of it on its own TSS's
# stack.
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, user
    mov dword ptr [TASK2+4], 0x6e000
    mov dword ptr [TASK2+8], KDATA
    mov dword ptr [TASK2+TSS_CS], UCODE32
    mov dword ptr [TASK2+TSS_SS], UDATA
    mov dword ptr [TASK2+TSS_DS], UDATA
    mov dword ptr [TASK2+TSS_ES], 0
    mov dword ptr [TASK2+TSS_ESP], USER_STACK-0x100
    mov dword ptr [gdt_free+8], FREE0 << 16
    mov dword ptr [gdt_free+12], 0xe500         # DPL 3
    USER32 first
    TRAPPED32 0x80, 0, user_end
    EQ32 [TRAP_CS], UCODE32
    EQ32 [TRAP_SP], USER_STACK-0x100
    EQ32 [TRAP_FRAME], 0x6e000-20
    EQ32 [TSS+TSS_EIP], "offset first_end"
    EQ32 [TSS+TSS_CS], UCODE32
    EQ32 [TSS+TSS_ESP], USER_STACK
    # A TSS descriptor with DPL 0 is out of reach.
    TASK_FREE 0
    mov byte ptr [gdt+TSS_SEL+5], 0x89
    mov eax, TSS_SEL
    ltr ax
    USER32 direct
    TRAPPED32 13, FREE0, direct
    PASS32

.section .user, "ax"
first:
    call FREE1:0
first_end:
user:
    int 0x80
user_end:
direct:
    call FREE0:0
