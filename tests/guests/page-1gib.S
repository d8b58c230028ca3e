# A 1 GiB page: address, dirty bit, large-page flag at the directory pointer's level, and its reserved bits.
# differs: qemu: reserved bits are reported without the present bit
# expect: exit=0x10
.include "long.inc"
main:
    mov dword ptr [DATA+0x3210], 0x5678
    mov qword ptr [PDPT+8], P_+RW+PS            # 1 GiB on is physical 0 on
    mov rbx, 0x40000000+DATA+0x3210
    EQ64 [rbx], 0x5678
    mov rax, [PDPT+8]
    EQ64 rax, P_+RW+PS+A_
    mov dword ptr [rbx], 0x1234
    EQ64 [DATA+0x3210], 0x1234
    mov rax, [PDPT+8]
    EQ64 rax, P_+RW+PS+A_+D_
    # Address bits 13 to 29 are reserved.
    mov qword ptr [PDPT+2*8], 0x200000+P_+RW+PS
    mov ebx, 0x80000000
    FAULT64 14, 9, mov eax, [rbx]
    mov qword ptr [PDPT+2*8], 0x1000+P_+RW+PS   # bit 12 is PAT
    mov eax, [rbx]
    PASS64
