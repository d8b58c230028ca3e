# FXSAVE and FXRSTOR: the layout, MXCSR and its mask, reserved bits, tag bytes, and the unused tail.
# differs: qemu: it takes reserved bits of MXCSR
# expect: exit=0x10
.include "long.inc"
main:
    mov rax, cr4
    or eax, 0x600
    mov cr4, rax
    mov edi, DATA
    mov rax, 0x5555555555555555
    mov ecx, 64
    rep stosq
    fninit
    fld1
    fldpi
    mov eax, 0x11223344
    movd xmm0, eax
    movd xmm15, eax
    mov dword ptr [RESULTS], 0x1f85
    ldmxcsr [RESULTS]
    fxsave64 [DATA]
    mov eax, [DATA]
    EQ64 rax, 0x3000037f            # control word, status word with TOP = 6
    movzx eax, byte ptr [DATA+4]
    EQ64 rax, 0xc0                  # two registers hold something
    mov eax, [DATA+24]
    EQ64 rax, 0x1f85
    mov eax, [DATA+28]
    and eax, 0xffff0000
    EQ64 rax, 0
    mov rax, [DATA+32]
    mov rbx, 0xc90fdaa22168c235     # pi
    EQ64 rax, rbx
    mov rax, [DATA+40]
    and eax, 0xffff
    EQ64 rax, 0x4000
    mov eax, [DATA+160]
    EQ64 rax, 0x11223344
    mov eax, [DATA+160+15*16]
    EQ64 rax, 0x11223344
    mov rax, 0x5555555555555555
    EQ64 [DATA+464], rax            # software may use the tail
    # Restore
    fninit
    pxor xmm0, xmm0
    fxrstor64 [DATA]
    fnstsw ax
    movzx eax, ax
    EQ64 rax, 0x3000
    movd eax, xmm0
    EQ64 rax, 0x11223344
    stmxcsr [RESULTS]
    mov eax, [RESULTS]
    EQ64 rax, 0x1f85
    mov dword ptr [DATA+24], 0x80001f80
    FAULT64 13, 0, fxrstor64 [DATA]
    # A page fault in the middle
    mov dword ptr [DATA+24], 0x1f80
    mov esi, DATA
    mov edi, DATA+0x1f00
    mov ecx, 64
    rep movsq
    PTE DATA+0x2000, 0
    FAULT64 14, 0, fxrstor64 [DATA+0x1f00]
    EQ64 [TRAP_CR2], DATA+0x2000
    FAULT64 14, 2, fxsave64 [DATA+0x1f00]
    PASS64
