# EVEX instructions are #UD while XCR0 has no AVX-512 state, and VEX ones while it has no AVX; legacy SSE does not care.
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
main:
    XSAVE_ON
    FAULT64 6, 0, .byte 0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1     # VADDPS ZMM0, ZMM0, ZMM1
    FAULT64 6, 0, .byte 0x62, 0xf1, 0x7c, 0x08, 0x58, 0xc1     # the same with XMM
    FAULT64 6, 0, .byte 0xc5, 0xf8, 0x90, 0xc1                  # KMOVW K0, K1
    vaddps ymm0, ymm0, ymm1
    # Prefixes that VEX does not allow
    FAULT64 6, 0, .byte 0x66, 0xc5, 0xf4, 0x58, 0xc1
    FAULT64 6, 0, .byte 0xf3, 0xc5, 0xf4, 0x58, 0xc1
    FAULT64 6, 0, .byte 0xf0, 0xc5, 0xf4, 0x58, 0xc1
    FAULT64 6, 0, .byte 0x48, 0xc5, 0xf4, 0x58, 0xc1
    XSAVE_ON 3
    FAULT64 6, 0, vaddps ymm0, ymm0, ymm1
    FAULT64 6, 0, vaddps xmm0, xmm0, xmm1
    andn eax, eax, eax              # VEX without vector registers does not ask XCR0
    addps xmm0, xmm1
    pshufb xmm0, xmm1
    # Alignment: VMOVAPS wants 32 bytes for YMM, arithmetic nothing
    XSAVE_ON 7
    FAULT64 13, 0, vmovaps ymm0, [DATA+16]
    FAULT64 13, 0, vmovaps xmm0, [DATA+8]
    vmovaps xmm0, [DATA+16]
    vaddps ymm0, ymm0, [DATA+1]
    vmovups ymm0, [DATA+3]
    FAULT64 13, 0, vmovntdqa ymm0, [DATA+16]
    PASS64
