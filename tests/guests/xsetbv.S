# XSETBV and XGETBV: #UD without CR4.OSXSAVE, #GP for invalid XCR0 values, other registers and CPL 3; CPUID follows.
# differs: qemu: XSAVE ignores TS
# expect: exit=0x10
.include "long.inc"
main:
    xor ecx, ecx
    FAULT64 6, 0, xgetbv
    FAULT64 6, 0, xsetbv
    FAULT64 6, 0, xsave [DATA]
    FAULT64 6, 0, xrstor [DATA]
    FAULT64 6, 0, vzeroupper
    mov eax, 1
    cpuid
    bt ecx, 27                      # OSXSAVE
    jc bad
    mov rax, cr4
    or eax, 0x40600
    mov cr4, rax
    mov eax, 1
    cpuid
    bt ecx, 27
    jnc bad
    xor ecx, ecx
    xgetbv
    EQ64 rax, 1                     # after a reset: x87 alone
    EQ64 rdx, 0
.macro BAD value, high=0
    mov eax, \value
    mov edx, \high
    FAULT64 13, 0, xsetbv
.endm
    BAD 0                           # x87 must stay
    BAD 2
    BAD 5                           # AVX without SSE
    BAD 7, 0x40000000
    mov eax, 7
    xor edx, edx
    mov ecx, 2
    FAULT64 13, 0, xsetbv
    mov ecx, 0x10
    FAULT64 13, 0, xgetbv
    xor ecx, ecx
    FAULT64 6, 0, vzeroupper        # AVX is not in XCR0
    mov eax, 3
    xsetbv
    FAULT64 6, 0, vxorps ymm0, ymm0, ymm0
    xorps xmm0, xmm0
    mov eax, 7
    xsetbv
    vxorps ymm0, ymm0, ymm0
    xgetbv
    EQ64 rax, 7
    USER64 user
    TRAPPED64 13, 0, user_xsetbv
    # TS
    mov rax, cr0
    or eax, 8
    mov cr0, rax
    FAULT64 7, 0, vzeroupper
    FAULT64 7, 0, xsave [DATA]
    xgetbv
    clts
    mov rax, cr4
    btr rax, 18
    mov cr4, rax
    FAULT64 6, 0, vzeroupper
    PASS64
bad:
    FAIL64
.section .user, "ax"
user:
    xgetbv
user_xsetbv:
    xsetbv
