# LMSW and SMSW: LMSW sets PE but never clears it, and changes MP, EM and TS alone.
# expect: exit=0x10
.include "prot.inc"
main:
    mov ebx, cr0
    mov eax, 0xfff0                 # PE clear, nothing else of the four set
    lmsw ax
    mov eax, cr0
    and ebx, ~0xe
    EQ32 eax, ebx
    mov eax, 0xe                    # MP, EM, TS
    lmsw ax
    mov eax, cr0
    or ebx, 0xe
    EQ32 eax, ebx
    mov word ptr [RESULTS], 0
    lmsw [RESULTS]
    mov eax, cr0
    and ebx, ~0xe
    EQ32 eax, ebx
    smsw eax                        # all 32 bits
    EQ32 eax, ebx
    mov eax, 0x12345678
    smsw ax
    and ebx, 0xffff
    or ebx, 0x12340000
    EQ32 eax, ebx
    mov dword ptr [RESULTS], -1
    smsw [RESULTS]                  # a word, whatever the operand size
    or ebx, 0xffff0000
    EQ32 [RESULTS], ebx
    PASS32
