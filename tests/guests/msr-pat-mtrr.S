# The PAT and the MTRRs: reset values, what can be written, and #GP for memory types that do not exist.
# differs: qemu: it takes any memory type
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    mov ecx, 0x277
    rdmsr
    EQ64 rax, 0x00070406
    EQ64 rdx, 0x00070406
    MSR 0x277, 0x01000406, 0x00070501
    mov ecx, 0x277
    rdmsr
    EQ64 rax, 0x01000406
    EQ64 rdx, 0x00070501
    .irp type, 2, 3, 8, 0xff
    mov ecx, 0x277
    mov eax, 0x00070406
    mov edx, \type
    FAULT64 13, 0, wrmsr
    .endr
    mov ecx, 0xfe                   # MTRRcap
    rdmsr
    movzx ebx, al
    FAULT64 13, 0, wrmsr            # read-only
    MSR 0x2ff, 0x806
    mov ecx, 0x2ff
    rdmsr
    and eax, 0xcff
    EQ64 rax, 0x806
    mov ecx, 0x2ff
    mov eax, 0x802
    xor edx, edx
    FAULT64 13, 0, wrmsr
    test ebx, ebx
    jz 1f
    MSR 0x200, 0x00000006, 0
    MSR 0x201, 0xf0000800, 0xf
    mov ecx, 0x201
    rdmsr
    mov ebx, 0xf0000800
    EQ64 rax, rbx
    EQ64 rdx, 0xf
    mov ecx, 0x200
    mov eax, 7
    xor edx, edx
    FAULT64 13, 0, wrmsr
1:  PASS64
