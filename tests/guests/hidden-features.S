# What CPUID claims runs, and what it does not claim is #UD: one instruction for each feature bit.
# differs: qemu: it runs some that it does not claim
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
# An entry: leaf, register (0 EAX to 3 EDX, in the order EAX EBX ECX EDX), bit, and the instruction.
.macro FEATURE leaf, register, bit, code:vararg
    .section .features, "a"
    .long \leaf, \register*4, \bit, .Lcode\@
    .text
    .balign 16
.Lcode\@:
    .byte \code
    jmp survived
.endm
.set EAX_, 0
.set EBX_, 1
.set ECX_, 2
.set EDX_, 3
.section .features, "a"
features:
.text
main:
    XSAVE_ON
    mov rax, cr4
    bts rax, 16                     # FSGSBASE where there is such a thing
    mov r8, rax
    mov eax, 7
    xor ecx, ecx
    cpuid
    test bl, 1
    jz 1f
    mov cr4, r8
1:  mov ebp, offset features
next:
    cmp ebp, offset features_end
    je done
    mov eax, [rbp]
    xor ecx, ecx
    cmp eax, 0xd                    # XSAVEOPT and its like are in subleaf 1
    jne 1f
    inc ecx
1:  cpuid
    mov [RESULTS], eax
    mov [RESULTS+4], ebx
    mov [RESULTS+8], ecx
    mov [RESULTS+12], edx
    mov ecx, [rbp+4]
    mov eax, [RESULTS+rcx]
    mov ecx, [rbp+8]
    bt eax, ecx
    setc bl
    movzx ebx, bl                   # claimed
    mov [RESULTS+16], rbp           # which one, for whoever looks
    mov edi, DATA
    mov esi, DATA
    mov eax, 1
    xor edx, edx
    xor ecx, ecx
    EXPECT64 trapped
    mov r9d, [rbp+12]
    jmp r9
survived:
    mov r10d, 1
    jmp compare
trapped:
    xor r10d, r10d
    EQ64 [TRAP_VEC], 6
compare:
    mov qword ptr [TRAP_RESUME], 0
    EQ64 r10, rbx
    add ebp, 16
    jmp next
done:
    PASS64
    FEATURE 1, ECX_, 0, 0xf2, 0x0f, 0xd0, 0xc1                  # SSE3: ADDSUBPS
    FEATURE 1, ECX_, 1, 0x66, 0x0f, 0x3a, 0x44, 0xc1, 0         # PCLMULQDQ
    FEATURE 1, ECX_, 3, 0x0f, 0x01, 0xc8                        # MONITOR
    FEATURE 1, ECX_, 9, 0x66, 0x0f, 0x38, 0x01, 0xc1            # SSSE3: PHADDW
    FEATURE 1, ECX_, 12, 0xc4, 0xe2, 0x71, 0x98, 0xc1           # FMA: VFMADD132PS
    FEATURE 1, ECX_, 13, 0x48, 0x0f, 0xc7, 0x0f                 # CMPXCHG16B [RDI]
    FEATURE 1, ECX_, 19, 0x66, 0x0f, 0x38, 0x10, 0xc1           # SSE4.1: PBLENDVB
    FEATURE 1, ECX_, 20, 0x66, 0x0f, 0x38, 0x37, 0xc1           # SSE4.2: PCMPGTQ
    FEATURE 1, ECX_, 22, 0x0f, 0x38, 0xf0, 0x07                 # MOVBE EAX, [RDI]
    FEATURE 1, ECX_, 23, 0xf3, 0x0f, 0xb8, 0xc0                 # POPCNT
    FEATURE 1, ECX_, 25, 0x66, 0x0f, 0x38, 0xdc, 0xc1           # AESENC
    FEATURE 1, ECX_, 28, 0xc5, 0xf0, 0x58, 0xc1                 # AVX: VADDPS
    FEATURE 1, ECX_, 29, 0xc4, 0xe2, 0x79, 0x13, 0xc1           # F16C: VCVTPH2PS
    FEATURE 1, ECX_, 30, 0x0f, 0xc7, 0xf0                       # RDRAND
    FEATURE 1, EDX_, 4, 0x0f, 0x31                              # RDTSC
    FEATURE 1, EDX_, 15, 0x0f, 0x44, 0xc0                       # CMOV
    FEATURE 1, EDX_, 19, 0x0f, 0xae, 0x3f                       # CLFLUSH [RDI]
    FEATURE 1, EDX_, 23, 0x0f, 0xfc, 0xc1                       # MMX: PADDB
    FEATURE 7, EBX_, 0, 0xf3, 0x48, 0x0f, 0xae, 0xc0            # RDFSBASE
    FEATURE 7, EBX_, 3, 0xc4, 0xe2, 0x78, 0xf2, 0xc1            # BMI1: ANDN
    FEATURE 7, EBX_, 5, 0xc4, 0xe2, 0x75, 0x01, 0xc1            # AVX2: VPHADDW YMM
    FEATURE 7, EBX_, 8, 0xc4, 0xe2, 0x78, 0xf5, 0xc1            # BMI2: BZHI
    FEATURE 7, EBX_, 18, 0x0f, 0xc7, 0xf8                       # RDSEED
    FEATURE 7, EBX_, 19, 0x66, 0x0f, 0x38, 0xf6, 0xc1           # ADCX
    FEATURE 7, EBX_, 20, 0x0f, 0x01, 0xca                       # SMAP: CLAC
    FEATURE 7, EBX_, 23, 0x66, 0x0f, 0xae, 0x3f                 # CLFLUSHOPT [RDI]
    FEATURE 7, EBX_, 24, 0x66, 0x0f, 0xae, 0x37                 # CLWB [RDI]
    FEATURE 7, EBX_, 29, 0x0f, 0x38, 0xc8, 0xc1                 # SHA1NEXTE
    FEATURE 7, ECX_, 8, 0x66, 0x0f, 0x38, 0xcf, 0xc1            # GFNI: GF2P8MULB
    FEATURE 7, ECX_, 9, 0xc4, 0xe2, 0x75, 0xdc, 0xc1            # VAES YMM
    FEATURE 7, ECX_, 10, 0xc4, 0xe3, 0x75, 0x44, 0xc1, 0        # VPCLMULQDQ YMM
    FEATURE 7, ECX_, 22, 0xf3, 0x0f, 0xc7, 0xf8                 # RDPID
    FEATURE 7, ECX_, 27, 0x48, 0x0f, 0x38, 0xf9, 0x07           # MOVDIRI
    FEATURE 7, ECX_, 28, 0x66, 0x0f, 0x38, 0xf8, 0x3f           # MOVDIR64B
    FEATURE 7, EDX_, 14, 0x0f, 0x01, 0xe8                       # SERIALIZE
    FEATURE 0xd, EAX_, 0, 0x48, 0x0f, 0xae, 0x37                # XSAVEOPT [RDI]
    FEATURE 0xd, EAX_, 1, 0x48, 0x0f, 0xc7, 0x27                # XSAVEC [RDI]
    FEATURE 0xd, EAX_, 3, 0x48, 0x0f, 0xc7, 0x2f                # XSAVES [RDI]
    FEATURE 0x80000001, ECX_, 0, 0x9f                           # LAHF
    FEATURE 0x80000001, ECX_, 6, 0xf2, 0x0f, 0x79, 0xc1         # SSE4A: INSERTQ
    FEATURE 0x80000001, ECX_, 16, 0xc4, 0xe3, 0xf1, 0x69, 0xc1, 0   # FMA4
    FEATURE 0x80000001, EDX_, 27, 0x0f, 0x01, 0xf9              # RDTSCP
    FEATURE 0x80000001, EDX_, 31, 0x0f, 0x0f, 0xc1, 0x9e        # 3DNow!: PFADD
.section .features, "a"
features_end:
.text
