# Instructions that CPL 3 may not execute: all of them #GP(0), whatever the operands.
# expect: exit=0x10
.include "prot.inc"
.macro PRIVILEGED insn:vararg
    .section .user, "ax"
.Luser\@:
    \insn
    int 0x80
    .text
    USER32 .Luser\@
    TRAPPED32 13, 0, .Luser\@
.endm
.text
main:
    xor ecx, ecx
    PRIVILEGED hlt
    PRIVILEGED clts
    PRIVILEGED mov eax, cr0
    PRIVILEGED mov cr0, eax
    PRIVILEGED mov eax, cr2
    PRIVILEGED mov cr3, eax
    PRIVILEGED mov eax, cr4
    PRIVILEGED mov eax, dr7
    PRIVILEGED mov dr0, eax
    PRIVILEGED lmsw ax
    PRIVILEGED invd
    PRIVILEGED wbinvd
    PRIVILEGED invlpg [0]
    PRIVILEGED rdmsr
    PRIVILEGED wrmsr
    PASS32
