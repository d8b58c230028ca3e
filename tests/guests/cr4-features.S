# Each bit of CR4 and EFER can be set if CPUID claims its feature, and raises #GP if not.
# differs: qemu: it takes bits that it does not claim
# expect: exit=0x10
.include "long.inc"
# leaf, register (0 EAX, 1 EBX, 2 ECX, 3 EDX), bit there, bit in CR4
.macro BIT leaf, register, bit, target
    .long \leaf, \register*4, \bit, \target
.endm
.data
.balign 16
cr4_bits:
    BIT 1, 3, 1, 0                  # VME
    BIT 1, 3, 1, 1                  # PVI
    BIT 1, 3, 4, 2                  # TSD
    BIT 1, 3, 2, 3                  # DE
    BIT 1, 3, 3, 4                  # PSE
    BIT 1, 3, 7, 6                  # MCE
    BIT 1, 3, 13, 7                 # PGE
    BIT 1, 3, 24, 9                 # OSFXSR
    BIT 1, 3, 25, 10                # OSXMMEXCPT
    BIT 7, 2, 2, 11                 # UMIP
    BIT 1, 2, 5, 13                 # VMXE
    BIT 1, 2, 6, 14                 # SMXE
    BIT 7, 1, 0, 16                 # FSGSBASE
    BIT 1, 2, 17, 17                # PCIDE
    BIT 1, 2, 26, 18                # OSXSAVE
    BIT 7, 1, 7, 20                 # SMEP
    BIT 7, 1, 20, 21                # SMAP
    BIT 7, 2, 3, 22                 # PKE
    BIT 7, 2, 31, 24                # PKS
cr4_bits_end:
efer_bits:
    BIT 0x80000001, 3, 11, 0        # SCE
    BIT 0x80000001, 3, 20, 11       # NXE
    BIT 0x80000001, 2, 2, 12        # SVME
    BIT 0x80000001, 3, 25, 14       # FFXSR
    BIT 0x80000001, 2, 17, 15       # TCE
efer_bits_end:
.section .entry
# EBP: an entry. EBX: 1 if claimed
claimed:
    mov eax, [rbp]
    xor ecx, ecx
    cpuid
    mov [RESULTS], eax
    mov [RESULTS+4], ebx
    mov [RESULTS+8], ecx
    mov [RESULTS+12], edx
    mov [RESULTS+16], rbp           # for whoever looks
    mov ecx, [rbp+4]
    mov eax, [RESULTS+rcx]
    mov ecx, [rbp+8]
    xor ebx, ebx
    bt eax, ecx
    adc ebx, 0
    ret
main:
    mov ebp, offset cr4_bits
1:  call claimed
    mov ecx, [rbp+12]
    mov rsi, cr4
    mov rax, rsi
    bts rax, rcx
    xor edi, edi
    EXPECT64 2f
    mov cr4, rax
    inc edi
    mov rax, cr4
    cmp rax, rsi
    je bad                          # it did not stick
    mov cr4, rsi
    mov qword ptr [TRAP_RESUME], 0
2:  EQ64 rdi, rbx
    add ebp, 16
    cmp ebp, offset cr4_bits_end
    jne 1b
    mov ebp, offset efer_bits
3:  call claimed
    mov esi, [rbp+12]
    mov ecx, MSR_EFER
    rdmsr
    mov r8d, eax
    bts eax, esi
    xor edi, edi
    EXPECT64 4f
    wrmsr
    inc edi
    mov eax, r8d
    wrmsr
    mov qword ptr [TRAP_RESUME], 0
4:  EQ64 rdi, rbx
    add ebp, 16
    cmp ebp, offset efer_bits_end
    jne 3b
    PASS64
bad:
    FAIL64
