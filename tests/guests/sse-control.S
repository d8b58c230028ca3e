# SSE under CR4.OSFXSR, CR0.EM and TS; LDMXCSR's reserved bits; #XM with CR4.OSXMMEXCPT and #UD without.
# differs: qemu: TS comes before EM
# expect: exit=0x10
.include "long.inc"
.macro CR0_BITS set
    mov rax, cr0
    and eax, ~0x2e
    or eax, \set
    mov cr0, rax
.endm
.macro CR4_BITS set
    mov rax, cr4
    and eax, ~0x600
    or eax, \set
    mov cr4, rax
.endm
main:
    CR0_BITS 0
    FAULT64 6, 0, xorps xmm0, xmm0  # no OSFXSR
    FAULT64 6, 0, movdqa xmm0, xmm1
    FAULT64 6, 0, ldmxcsr [RESULTS]
    pause
    sfence
    lfence
    mfence
    prefetcht0 [RESULTS]
    movnti [RESULTS], eax           # no XMM register: not concerned
    popcnt eax, eax
    crc32 eax, al
    CR4_BITS 0x200
    CR0_BITS 8
    FAULT64 7, 0, xorps xmm0, xmm0
    FAULT64 7, 0, stmxcsr [RESULTS]
    lfence
    CR0_BITS 4
    FAULT64 6, 0, xorps xmm0, xmm0
    CR0_BITS 0xc                    # EM and TS: #UD first
    FAULT64 6, 0, xorps xmm0, xmm0
    CR0_BITS 0
    xorps xmm0, xmm0
    # MXCSR
    mov dword ptr [RESULTS], 0x1f80
    ldmxcsr [RESULTS]
    mov dword ptr [RESULTS], 0x10000
    FAULT64 13, 0, ldmxcsr [RESULTS]
    mov dword ptr [RESULTS], 0x80000000
    FAULT64 13, 0, ldmxcsr [RESULTS]
    stmxcsr [RESULTS]
    mov eax, [RESULTS]
    EQ64 rax, 0x1f80
    # An unmasked exception
    mov dword ptr [RESULTS], 0x1d80 # division by zero
    ldmxcsr [RESULTS]
    mov eax, 0x3f800000
    movd xmm1, eax
    movaps xmm2, xmm1
    FAULT64 6, 0, divss xmm1, xmm0
    CR4_BITS 0x600
    mov dword ptr [RESULTS], 0x1d80
    ldmxcsr [RESULTS]
    FAULT64 19, 0, divss xmm1, xmm0
    stmxcsr [RESULTS]
    mov eax, [RESULTS]
    EQ64 rax, 0x1d84                # the flag is set
    movd eax, xmm1
    mov ecx, 0x3f800000
    EQ64 rax, rcx                   # and the destination as before
    # A pending flag alone traps nothing.
    addss xmm1, xmm1
    PASS64
