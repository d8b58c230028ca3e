# XSAVEOPT and XSAVEC: the compacted form, its header, and XRSTOR from it; XGETBV with ECX = 1.
# differs: qemu: its software CPU has no XSAVEC
# differs: bochs: XSAVEC puts AVX at 416
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
.set HEADER, DATA+512
main:
    XSAVE_ON
    vzeroall
    mov ecx, 1
    xgetbv                          # XINUSE: AVX is in its initial state
    and eax, 4
    EQ64 rax, 0
    mov eax, 0x77
    movd xmm1, eax
    vinsertf128 ymm1, ymm1, xmm1, 1
    xgetbv
    and eax, 6
    EQ64 rax, 6
    mov eax, 6
    xor edx, edx
    xsavec [DATA]
    EQ64 [HEADER], 6
    mov rcx, 0x8000000000000006
    EQ64 [HEADER+8], rcx
    mov ecx, [DATA+576+16]
    EQ64 rcx, 0x77
    vzeroall
    xrstor [DATA]
    vextractf128 xmm2, ymm1, 1
    movd ecx, xmm2
    EQ64 rcx, 0x77
    # A compacted header with bits that are not in its own map
    mov qword ptr [HEADER], 7
    FAULT64 13, 0, xrstor [DATA]
    mov qword ptr [HEADER], 6
    # AVX alone lies at the start of the extended area.
    mov eax, 4
    xsavec [DATA+0x1000]
    mov rcx, 0x8000000000000004
    EQ64 [DATA+0x1000+520], rcx
    mov ecx, [DATA+0x1000+576+16]
    EQ64 rcx, 0x77
    # XSAVEOPT writes the standard form, and clears bits of what is initial.
    mov edi, DATA+0x2000
    mov ecx, 128
    xor eax, eax
    rep stosq
    vzeroall
    mov eax, 0x55
    movd xmm1, eax
    mov eax, 6
    xsaveopt [DATA+0x2000]
    mov rcx, [DATA+0x2000+512]
    and ecx, 6
    EQ64 rcx, 2
    EQ64 [DATA+0x2000+520], 0
    mov ecx, [DATA+0x2000+160+16]
    EQ64 rcx, 0x55
    PASS64
