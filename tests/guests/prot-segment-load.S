# Loads of data segment registers: #GP and #NP with the selector as error code, and the accessed bit.
# differs: qemu: a null selector can be used
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0x1000, 0xfff, 0x92
    DESCRIPTOR 1, 0, 0xfffff, 0x9a, 12          # readable code
    DESCRIPTOR 2, 0, 0xfffff, 0x98, 12          # code that can't be read
    DESCRIPTOR 3, 0, 0xfffff, 0x12, 12          # not present
    DESCRIPTOR 4, 0, 0x67, 0x89                 # a TSS
    DESCRIPTOR 5, 0, 0xfffff, 0x9e, 12          # conforming, readable
    # Null selectors load; using them faults.
    mov eax, 3
    mov fs, eax
    FAULT32 13, 0, mov al, fs:[0]
    mov ebx, fs
    EQ32 ebx, 3
    mov eax, FREE0
    EQ32 [gdt_free+4], 0x9200
    mov fs, eax
    EQ32 [gdt_free+4], 0x9300                   # accessed now
    mov byte ptr [0x1fff], 0x66
    movzx eax, byte ptr fs:[0xfff]
    EQ32 eax, 0x66
    mov eax, FREE1
    mov fs, eax
    mov al, fs:[0]
    FAULT32 13, 0, mov fs:[RESULTS], al         # code is never writable
    mov eax, FREE2
    FAULT32 13, FREE2, mov fs, eax
    mov eax, FREE3
    FAULT32 11, FREE3, mov fs, eax
    FAULT32 11, FREE3, mov ds, eax
    mov eax, FREE4
    FAULT32 13, FREE4, mov es, eax
    mov eax, 0x100
    FAULT32 13, 0x100, mov gs, eax              # beyond the table's limit
    mov eax, 0x103
    FAULT32 13, 0x100, mov gs, eax              # the error code has no RPL
    mov eax, FREE0+4
    FAULT32 13, FREE0+4, mov gs, eax               # no LDT: the TI bit stays
    # RPL: DPL must be at least RPL, except for conforming code.
    mov eax, FREE0+3
    FAULT32 13, FREE0, mov gs, eax
    mov eax, FREE5+3
    mov gs, eax
    mov eax, UDATA
    mov gs, eax
    mov eax, KDATA
    # By LFS, POP and a far load; a fault leaves register and stack pointer alone.
    push FREE3
    FAULT32 11, FREE3, pop fs
    mov ebx, esp
    EQ32 ebx, BOOT_STACK-4
    pop eax
    mov dword ptr [RESULTS], 0x99
    mov dword ptr [RESULTS+4], FREE4
    mov ebx, 0x1234
    FAULT32 13, FREE4, lfs ebx, [RESULTS]
    EQ32 ebx, 0x1234
    mov ebx, fs
    EQ32 ebx, FREE1
    # MOV to CS does not exist.
    FAULT32 6, 0, .byte 0x8e, 0xc8
    PASS32
