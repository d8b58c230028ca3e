# Virtual-8086 mode: instructions that do not exist there, privileged ones, segment limits, and the frame behind.
# expect: exit=0x10
.include "prot.inc"
.include "v86.inc"
.macro V86_FAULT vector, insn:vararg
    .section .v86, "ax"
    .code16
.Lcode\@:
    \insn
    hlt
    .code32
    .text
    V86 .Lcode\@
    V86_TRAPPED \vector, 0, .Lcode\@
.endm
.text
main:
    V86_FAULT 6, lldt ax
    V86_FAULT 6, sldt ax
    V86_FAULT 6, str ax
    V86_FAULT 6, ltr ax
    V86_FAULT 6, lar ax, ax
    V86_FAULT 6, lsl ax, ax
    V86_FAULT 6, verr ax
    V86_FAULT 6, arpl ax, ax
    V86_FAULT 13, hlt
    V86_FAULT 13, lgdt [0]
    V86_FAULT 13, lidt [0]
    V86_FAULT 13, mov eax, cr0
    V86_FAULT 13, mov cr0, eax
    V86_FAULT 13, mov eax, dr7
    V86_FAULT 13, clts
    V86_FAULT 13, lmsw ax
    V86_FAULT 13, invlpg [0]
    V86_FAULT 13, wbinvd
    V86_FAULT 6, ud2
    xor ecx, ecx
    V86_FAULT 0, div cl
    # CR0 can be read by SMSW.
    V86 smsw_code
    mov ebx, cr0
    EQ32 eax, ebx
    PASS32
.section .v86, "ax"
.code16
smsw_code:
    smsw eax
    hlt
.code32
