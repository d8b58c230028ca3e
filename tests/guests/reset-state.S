# The state that a reset leaves: control, debug and floating-point registers, descriptor tables, EFER, the APIC's base.
# expect: exit=0x10
.include "real.inc"
main:
    mov eax, cr0
    and eax, 0x9fffffff             # CD and NW aside, which firmware may have cleared
    EQ16 ax, 0x10
    shr eax, 16
    EQ16 ax, 0
    mov eax, cr4
    EQ16 ax, 0
    mov eax, cr3
    EQ16 ax, 0
    mov ecx, MSR_EFER
    rdmsr
    EQ16 ax, 0
    sidt [RESULTS]
    EQ16 [RESULTS+2], 0
    mov eax, dr6
    EQ16 ax, 0x0ff0
    mov eax, dr7
    EQ16 ax, 0x400
    mov ecx, 0x1b
    rdmsr
    and ax, 0xf00
    EQ16 ax, 0x900                  # enabled, boot CPU
    fnstsw ax
    EQ16 ax, 0
    pushf
    pop ax
    and ax, 0x7700                  # IF, TF, DF, IOPL, NT
    EQ16 ax, 0
    PASS16
