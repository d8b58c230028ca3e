# SGDT, SIDT and SMSW at CPL 3, and with UMIP their #GP; LGDT and LIDT are the kernel's.
# expect: exit=0x10
.include "prot.inc"
.macro USER_OK label
    USER32 \label
    TRAPPED32 0x80, 0, \label\()_end
.endm
.macro USER_GP label
    USER32 \label
    TRAPPED32 13, 0, \label
.endm
main:
    sgdt [RESULTS]
    EQ32 [RESULTS+2], "offset gdt"
    movzx eax, word ptr [RESULTS]
    EQ32 eax, gdt_end-gdt-1
    sidt [RESULTS]
    EQ32 [RESULTS+2], IDT
    movzx eax, word ptr [RESULTS]
    EQ32 eax, 0x7ff
    smsw eax
    mov ebx, cr0
    EQ32 eax, ebx
    USER_OK user_sgdt
    USER_OK user_sidt
    USER_OK user_smsw
    USER_OK user_str
    USER_OK user_sldt
    mov eax, cr4
    bts eax, 11                     # UMIP
    mov cr4, eax
    USER_GP user_sgdt
    USER_GP user_sidt
    USER_GP user_smsw
    USER_GP user_str
    USER_GP user_sldt
    smsw eax                        # CPL 0 may
    sldt eax
    USER_GP user_lgdt
    USER_GP user_lidt
    USER_GP user_lmsw
    USER_GP user_lldt
    USER_GP user_ltr
    # A 16-bit LGDT loads 24 bits of the base.
    mov dword ptr [RESULTS], 0x7f
    mov dword ptr [RESULTS+2], 0xff000000
    mov eax, offset gdt
    mov [RESULTS+2], eax
    mov byte ptr [RESULTS+5], 0xff
    .byte 0x66
    lgdt [RESULTS]
    sgdt [RESULTS+8]
    EQ32 [RESULTS+10], "offset gdt"
    PASS32

.macro USER name, insn:vararg
\name:
    \insn
    int 0x80
\name\()_end:
.endm
.section .user, "ax"
    USER user_sgdt, sgdt [USER_STACK-64]
    USER user_sidt, sidt [USER_STACK-64]
    USER user_smsw, smsw eax
    USER user_str, str eax
    USER user_sldt, sldt eax
    USER user_lgdt, lgdt [USER_STACK-64]
    USER user_lidt, lidt [USER_STACK-64]
    USER user_lmsw, lmsw ax
    USER user_lldt, lldt ax
    USER user_ltr, ltr ax
