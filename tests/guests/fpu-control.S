# x87 and MMX under CR0.EM, MP and TS: #NM and #UD, WAIT, CLTS, and FNINIT's state.
# differs: qemu: EMMS ignores TS
# expect: exit=0x10
.include "long.inc"
.macro CR0_BITS set
    mov rax, cr0
    and eax, ~0x2e                  # MP EM TS NE
    or eax, \set
    mov cr0, rax
.endm
main:
    CR0_BITS 8                      # TS
    FAULT64 7, 0, fnop
    FAULT64 7, 0, fninit
    FAULT64 7, 0, emms
    FAULT64 7, 0, fxsave [DATA]
    wait                            # needs MP as well
    CR0_BITS 0xa                    # TS, MP
    FAULT64 7, 0, wait
    FAULT64 7, 0, fnop
    CR0_BITS 4                      # EM
    FAULT64 7, 0, fnop
    FAULT64 7, 0, fninit
    FAULT64 6, 0, emms              # MMX: #UD
    FAULT64 6, 0, movq mm0, rax
    FAULT64 7, 0, fxsave [DATA]
    CR0_BITS 6                      # EM, MP
    wait
    CR0_BITS 8
    clts
    mov rax, cr0
    and eax, 8
    EQ64 rax, 0
    fninit
    fnstcw [RESULTS]
    movzx eax, word ptr [RESULTS]
    EQ64 rax, 0x37f
    mov eax, -1
    fnstsw ax
    movzx eax, ax
    EQ64 rax, 0
    # At CPL 3 as well
    CR0_BITS 8
    USER64 user
    TRAPPED64 7, 0, user
    PASS64
.section .user, "ax"
user:
    fld1
