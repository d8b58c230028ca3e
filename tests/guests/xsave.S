# XSAVE and XRSTOR: the header, the requested-feature bitmap, init states, XINUSE, and #GP for bad headers and
# alignment.
# differs: qemu: it takes bad headers
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
.set HEADER, DATA+512
main:
    XSAVE_ON
    mov dword ptr [RESULTS], 0x1f80
    ldmxcsr [RESULTS]
    mov eax, 0x1234
    movd xmm3, eax
    vinsertf128 ymm3, ymm3, xmm3, 1
    mov eax, 7
    xor edx, edx
    xsave [DATA]
    mov rax, [HEADER]
    and eax, 6
    EQ64 rax, 6
    EQ64 [HEADER+8], 0              # the standard form
    mov eax, [DATA+160+3*16]
    EQ64 rax, 0x1234
    mov eax, [DATA+576+3*16]
    EQ64 rax, 0x1234
    # AVX alone
    vxorps ymm3, ymm3, ymm3
    mov eax, 4
    xrstor [DATA]
    vextractf128 xmm4, ymm3, 1
    movd ecx, xmm4
    EQ64 rcx, 0x1234
    movd ecx, xmm3
    EQ64 rcx, 0
    mov eax, 7
    xrstor [DATA]
    movd ecx, xmm3
    EQ64 rcx, 0x1234
    # A clear bit in the header initializes.
    and qword ptr [HEADER], 3
    xrstor [DATA]
    vextractf128 xmm4, ymm3, 1
    movd ecx, xmm4
    EQ64 rcx, 0
    movd ecx, xmm3
    EQ64 rcx, 0x1234
    and qword ptr [HEADER], 4
    mov dword ptr [DATA+24], 0x1f81 # MXCSR comes from memory all the same
    xrstor [DATA]
    movd ecx, xmm3
    EQ64 rcx, 0
    stmxcsr [RESULTS]
    mov ecx, [RESULTS]
    EQ64 rcx, 0x1f81
    # Features that were not asked for stay as they are in memory.
    mov qword ptr [HEADER], 7
    mov eax, 1
    xsave [DATA]
    mov rcx, [HEADER]
    and ecx, 6
    EQ64 rcx, 6
    # Bad areas
    FAULT64 13, 0, xsave [DATA+32]
    FAULT64 13, 0, xrstor [DATA+16]
    mov eax, 7
    mov qword ptr [HEADER], 15
    FAULT64 13, 0, xrstor [DATA]    # a feature that XCR0 has not
    mov qword ptr [HEADER], 7
    mov qword ptr [HEADER+8], 1
    FAULT64 13, 0, xrstor [DATA]
    mov qword ptr [HEADER+8], 0
    mov qword ptr [HEADER+16], 1
    FAULT64 13, 0, xrstor [DATA]
    mov qword ptr [HEADER+16], 0
    mov dword ptr [DATA+24], 0xffff0000
    FAULT64 13, 0, xrstor [DATA]
    mov dword ptr [DATA+24], 0x1f80
    xrstor [DATA]
    PASS64
