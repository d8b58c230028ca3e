# VERR, VERW and ARPL.
# expect: exit=0x10
.include "prot.inc"
.macro VERIFY insn, selector, zf
    mov ecx, \selector
    \insn cx
    setz al
    movzx eax, al
    EQ32 eax, \zf
.endm
main:
    DESCRIPTOR 0, 0, 0xfff, 0x90                # read-only data
    DESCRIPTOR 1, 0, 0xfff, 0x92
    DESCRIPTOR 2, 0, 0xfff, 0x98                # execute-only
    DESCRIPTOR 3, 0, 0xfff, 0x9a
    DESCRIPTOR 4, 0, 0xfff, 0x9e                # conforming
    DESCRIPTOR 5, 0, 0xfff, 0x89                # a TSS
    DESCRIPTOR 6, 0, 0xfff, 0xf2
    DESCRIPTOR 7, 0, 0xfff, 0x12                # absent is no matter
    VERIFY verr, FREE0, 1
    VERIFY verw, FREE0, 0
    VERIFY verr, FREE1, 1
    VERIFY verw, FREE1, 1
    VERIFY verr, FREE2, 0
    VERIFY verw, FREE2, 0
    VERIFY verr, FREE3, 1
    VERIFY verw, FREE3, 0
    VERIFY verr, FREE3+3, 0
    VERIFY verr, FREE4+3, 1                     # conforming: no matter the privilege
    VERIFY verr, FREE5, 0
    VERIFY verw, FREE6+3, 1
    VERIFY verw, FREE7, 1
    VERIFY verr, 0, 0
    VERIFY verw, 3, 0
    VERIFY verr, 0x400, 0
    # ARPL raises the RPL of its first operand.
    mov ax, 0x10
    mov cx, 0x23
    arpl ax, cx
    jnz bad
    EQ32 eax, 0x13
    mov cx, 0x21
    arpl ax, cx
    jz bad
    EQ32 eax, 0x13
    mov word ptr [RESULTS], 0x1
    mov cx, 2
    arpl [RESULTS], cx
    jnz bad
    EQ32 [RESULTS], 2
    PASS32
bad:
    FAIL32
