# #MF: an unmasked x87 exception waits for the next waiting x87 instruction or WAIT, and is a fault there; no-wait
# instructions pass.
# differs: qemu: only WAIT looks at pending exceptions
# expect: exit=0x10
.include "long.inc"
main:
    mov rax, cr0
    or eax, 0x22                    # NE, MP
    mov cr0, rax
    fninit
    mov word ptr [RESULTS], 0x37b   # division by zero unmasked
    fldcw [RESULTS]
    fld1
    fldz
    fdivp st(1), st                 # raises, but does not trap yet
    nop
    fnstsw ax
    and eax, 0x8084
    EQ64 rax, 0x8084                # B, ES, ZE
    FAULT64 16, 0, fld1
    FAULT64 16, 0, wait
    FAULT64 16, 0, wait
    FAULT64 16, 0, fst dword ptr [DATA]
    FAULT64 16, 0, emms
    fnstcw [RESULTS+8]
    fnstenv [DATA]
    fnclex
    fld1
    # masking it takes it away, unmasking a pending one brings it back
    fninit
    fldz
    fld1
    fdivrp st(1), st
    fld1
    fldz
    fdivp st(1), st                 # masked: the status bit alone
    fldcw [RESULTS]
    FAULT64 16, 0, wait
    fnclex
    wait
    PASS64
