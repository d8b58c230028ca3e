# A double fault by way of a task gate, with the faulting task's stack beyond use: what an i386 kernel relies on.
# expect: exit=0x10
# differs: qemu: it checks no segment limits
.include "prot.inc"
.include "task.inc"
main:
    TASK 0, handler
    mov dword ptr [IDT+8*8], FREE0 << 16
    mov dword ptr [IDT+8*8+4], 0x8500
    DESCRIPTOR 1, 0, 0x6fff, 0x92, 4
    mov eax, FREE1
    mov ss, eax
    mov esp, 0x8000                 # above the limit: no frame can be pushed
at: push eax
    FAIL32
handler:
    mov eax, esp
    EQ32 eax, TASK2_STACK-4
    pop eax
    EQ32 eax, 0
    EQ32 [TSS+TSS_EIP], "offset at"
    EQ32 [TSS+TSS_ESP], 0x8000
    movzx eax, word ptr [TASK2+TSS_LINK]
    EQ32 eax, TSS_SEL
    PASS32
