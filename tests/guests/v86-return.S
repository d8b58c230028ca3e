# From virtual-8086 mode to CPL 0 and back by IRET, and an interrupt gate to code that is not CPL 0's: #GP.
# expect: exit=0x10
.include "prot.inc"
.include "v86.inc"
main:
    GATE32 0x60, handler, 0xee
    V86 code, 0x11, 0x22, 0x33, 0x44, EFLAGS_VM+0x3002
    V86_TRAPPED 0x80, 0, code_end
    EQ32 esi, 0x11
    EQ32 edi, 0x22
    EQ32 ebp, 0x33
    EQ32 ebx, 0x44
    EQ32 ecx, 0x77
    EQ32 [TRAP_FLAGS], EFLAGS_VM+0x3047
    # DPL 3 and conforming handlers can't be entered.
    DESCRIPTOR 0, 0, 0xfffff, 0x9e, 12
    GATE32 0x60, handler, 0xee, FREE0
    V86 code, flags=EFLAGS_VM+0x3002
    V86_TRAPPED 13, FREE0, code
    GATE32 0x60, handler, 0xee, UCODE32
    V86 code, flags=EFLAGS_VM+0x3002
    V86_TRAPPED 13, UCODE32-3, code
    # A gate's DPL counts in virtual-8086 mode too: it runs at CPL 3.
    GATE32 0x60, handler, 0x8e
    V86 code, flags=EFLAGS_VM+0x3002
    V86_TRAPPED 13, 0x60*8+2, code
    PASS32
handler:
    mov ecx, 0x77
    or dword ptr ss:[esp+8], 0x45   # CF PF ZF
    iretd
.code16
code:
    int 0x60
    mov si, es
    movzx esi, si
    mov di, ds
    movzx edi, di
    mov bp, fs
    movzx ebp, bp
    mov bx, gs
    movzx ebx, bx
    int 0x80
code_end:
.code32
