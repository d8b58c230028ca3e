# Loads of SS: it must be writable data with DPL = RPL = CPL; absent is #SS; a null selector is #GP(0).
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x90, 12          # read-only data
    DESCRIPTOR 1, 0, 0xfffff, 0x9a, 12          # code
    DESCRIPTOR 2, 0, 0xfffff, 0x12, 12          # not present
    DESCRIPTOR 3, 0, 0xfffff, 0xf2, 12          # DPL 3
    DESCRIPTOR 4, 0, 0xfffff, 0x92, 12
    xor eax, eax
    FAULT32 13, 0, mov ss, eax
    mov eax, 3
    FAULT32 13, 0, mov ss, eax
    mov eax, FREE0
    FAULT32 13, FREE0, mov ss, eax
    mov eax, FREE1
    FAULT32 13, FREE1, mov ss, eax
    mov eax, FREE2
    FAULT32 12, FREE2, mov ss, eax
    mov eax, FREE3
    FAULT32 13, FREE3, mov ss, eax
    mov eax, FREE3+3
    FAULT32 13, FREE3, mov ss, eax
    mov eax, FREE4+3                            # RPL alone is wrong
    FAULT32 13, FREE4, mov ss, eax
    mov eax, 0x200
    FAULT32 13, 0x200, mov ss, eax
    mov eax, FREE4
    mov ss, eax
    mov ebx, ss
    EQ32 ebx, FREE4
    # by LSS and POP
    mov dword ptr [RESULTS], BOOT_STACK-64
    mov dword ptr [RESULTS+4], FREE2
    FAULT32 12, FREE2, lss esp, [RESULTS]
    mov eax, esp
    EQ32 eax, BOOT_STACK
    mov dword ptr [RESULTS+4], FREE4
    lss esp, [RESULTS]
    mov eax, esp
    EQ32 eax, BOOT_STACK-64
    push FREE0
    FAULT32 13, FREE0, pop ss
    PASS32
