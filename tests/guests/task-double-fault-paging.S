# A double fault by a task gate because the stack's page is gone: the new task brings its own CR3.
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
.set DIRECTORY, 0x4b000
.set TABLE, 0x4c000
.set DIRECTORY2, 0x4d000
main:
    TASK 0, handler
    mov dword ptr [IDT+8*8], FREE0 << 16
    mov dword ptr [IDT+8*8+4], 0x8500
    mov dword ptr [TASK2+TSS_CR3], DIRECTORY2
    mov edi, TABLE
    mov eax, 3
1:  stosd
    add eax, 0x1000
    cmp eax, 0x400003
    jne 1b
    mov dword ptr [DIRECTORY], TABLE+3
    mov dword ptr [DIRECTORY2], 0x83
    mov dword ptr [TABLE+(0x180000>>12)*4], 0
    mov eax, cr4
    or eax, 0x10                    # PSE
    mov cr4, eax
    mov eax, DIRECTORY
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov esp, 0x181000
at: push eax
    FAIL32
handler:
    pop eax
    EQ32 eax, 0
    EQ32 [TSS+TSS_EIP], "offset at"
    EQ32 [TSS+TSS_ESP], 0x181000
    mov eax, cr3
    EQ32 eax, DIRECTORY2
    mov eax, cr2
    EQ32 eax, 0x180ffc
    mov dword ptr [0x180ffc], 5     # present here
    PASS32
