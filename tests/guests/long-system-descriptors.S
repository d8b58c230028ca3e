# LDT and TSS descriptors of sixteen bytes: 64-bit bases, non-canonical ones, the reserved upper half, and LAR and LSL.
# differs: qemu: it takes bases that are not canonical
# expect: exit=0x10
.include "long.inc"
.macro SYSTEM n, base, limit, access, high=0, top=0
    DESCRIPTOR \n, \base, \limit, \access
    mov dword ptr [gdt_free+8*\n+8], \high
    mov dword ptr [gdt_free+8*\n+12], \top
.endm
main:
    # An LDT beyond 4 GiB (linear)
    mov qword ptr [PML4+8], TABLES+P_+RW
    mov qword ptr [TABLES], TABLES+0x1000+P_+RW
    mov qword ptr [TABLES+0x1000], P_+RW+PS     # 0x80_0000_0000 on is physical 0 on
    SYSTEM 0, DATA, 0x17, 0x82, 0x80
    mov dword ptr [DATA+8], 0x5678ffff
    mov dword ptr [DATA+12], 0x12cf9234
    mov eax, FREE0
    lldt ax
    mov eax, 0xc
    mov fs, eax
    mov ecx, 0xc0000100
    rdmsr
    EQ64 rax, 0x12345678
    # Refusals
    SYSTEM 2, DATA, 0x17, 0x82, 0x8000          # not canonical
    mov eax, FREE2
    FAULT64 13, FREE2, lldt ax
    SYSTEM 2, TSS, 0x67, 0x89, 0x8000
    FAULT64 13, FREE2, ltr ax
    SYSTEM 2, TSS, 0x67, 0x89, 0, 0x100         # type bits in the upper half
    FAULT64 13, FREE2, ltr ax
    SYSTEM 2, TSS, 0x67, 0x81                   # a 16-bit TSS has no place here
    FAULT64 13, FREE2, ltr ax
    SYSTEM 2, TSS, 0x67, 0x89
    ltr ax
    # The upper half lies beyond the table.
    mov word ptr [gdt_pointer], FREE4+7
    lgdt [gdt_pointer]
    SYSTEM 4, DATA, 0x17, 0x82
    mov eax, FREE4
    FAULT64 13, FREE4, lldt ax
    mov word ptr [gdt_pointer], gdt_end-gdt-1
    lgdt [gdt_pointer]
    # LAR and LSL
    SYSTEM 4, 0, 0x1234, 0x82
    mov ecx, FREE4
    lar eax, ecx
    jnz bad
    and eax, 0xff00
    EQ64 rax, 0x8200
    lsl rax, rcx
    jnz bad
    EQ64 rax, 0x1234
    SYSTEM 4, 0, 0x1234, 0x81                   # 16-bit types are invalid in 64-bit mode
    lar eax, ecx
    jz bad
    SYSTEM 4, 0, 0x1234, 0x85                   # so are task gates
    lar eax, ecx
    jz bad
    SYSTEM 4, 0, 0x1234, 0x8c
    lar eax, ecx
    jnz bad
    # SGDT and SIDT store ten bytes; LGDT wants a canonical base.
    mov word ptr [RESULTS+10], 0x5a5a
    sgdt [RESULTS]
    EQ64 [RESULTS+2], "offset gdt"
    movzx eax, word ptr [RESULTS+10]
    EQ64 rax, 0x5a5a
    mov rax, 0x800000000000
    mov [RESULTS+2], rax
    FAULT64 13, 0, lgdt [RESULTS]
    FAULT64 13, 0, lidt [RESULTS]
    # STR and SLDT: widths
    mov rax, -1
    str eax
    EQ64 rax, FREE2
    mov rax, -1
    str ax
    mov rcx, -65536+FREE2
    EQ64 rax, rcx
    mov rax, -1
    sldt rax
    EQ64 rax, FREE0
    mov rax, -1
    mov eax, ss
    EQ64 rax, KDATA
    PASS64
bad:
    FAIL64
