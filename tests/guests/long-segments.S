# Segment registers in 64-bit mode: null selectors load anywhere (SS at CPL 0), DS and ES have no base, FS and GS do,
# a load of FS sets a 32-bit base, limits do not matter, but the descriptors are checked all the same.
# differs: qemu: a null SS may have any RPL
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    DESCRIPTOR 0, 0x12345678, 0, 0x92
    DESCRIPTOR 1, 0, 0xfffff, 0x12, 12          # absent
    DESCRIPTOR 2, 0, 0xfffff, 0x98, 12          # execute-only
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, 3
    mov ds, eax
    FAULT64 13, 0, mov ss, eax                  # RPL 3 at CPL 0
    mov eax, [RESULTS]                          # null segments can be used
    mov eax, FREE0
    mov ds, eax
    mov qword ptr [RESULTS], 0x77               # neither base nor limit
    mov ecx, MSR_FS_BASE
    mov fs, eax
    rdmsr
    EQ64 rax, 0x12345678
    EQ64 rdx, 0
    MSR MSR_FS_BASE, DATA, 0
    mov qword ptr fs:[0x10], 0x1234
    EQ64 [DATA+0x10], 0x1234
    EQ64 fs:[0x10], 0x1234
    MSR MSR_GS_BASE, -0x1000, -1
    mov ebx, DATA+0x1010
    EQ64 gs:[rbx], 0x1234
    mov ecx, MSR_GS_BASE
    rdmsr
    mov ebx, 0xffffffff
    EQ64 rdx, rbx
    mov ebx, 0xfffff000
    EQ64 rax, rbx
    mov eax, KDATA
    mov gs, eax                                 # loads base 0
    rdmsr
    EQ64 rax, 0
    EQ64 rdx, 0
    mov eax, 0x400
    FAULT64 13, 0x400, mov ds, eax
    mov eax, FREE1
    FAULT64 11, FREE1, mov es, eax
    FAULT64 12, FREE1, mov ss, eax
    mov eax, FREE2
    FAULT64 13, FREE2, mov fs, eax
    mov eax, UDATA
    FAULT64 13, UDATA-3, mov ss, eax
    mov eax, KCODE64
    mov fs, eax                                 # readable code
    # What 64-bit mode has not
    FAULT64 6, 0, .byte 0x06                    # PUSH ES
    FAULT64 6, 0, .byte 0x1f                    # POP DS
    FAULT64 6, 0, .byte 0x60                    # PUSHA
    FAULT64 6, 0, .byte 0x27                    # DAA
    FAULT64 6, 0, .byte 0xd4                    # AAM
    FAULT64 6, 0, .byte 0xd6                    # SALC
    FAULT64 6, 0, .byte 0x82                    # the alias of 0x80
    push fs
    pop gs
    PASS64
