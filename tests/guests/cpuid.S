# CPUID: vendor, the largest leaves, that out-of-range leaves do not fault, that upper halves are cleared, that OSXSAVE,
# APIC and SYSCALL bits follow the state, and what an x86-64 needs.
# expect: exit=0x10
.include "long.inc"
.macro NEED register, bit
    bt \register, \bit
    jnc bad
.endm
main:
    mov rax, -1
    mov rbx, -1
    mov rdx, -1
    xor eax, eax
    mov rcx, -1
    cpuid
    cmp eax, 7
    jb bad
    shr rbx, 32
    EQ64 rbx, 0
    shr rcx, 32
    EQ64 rcx, 0
    shr rdx, 32
    EQ64 rdx, 0
    mov eax, 1
    cpuid
    .irp bit, 0, 3, 4, 5, 6, 8, 9, 13, 15, 16, 19, 23, 24, 25, 26
    NEED edx, \bit                  # FPU PSE TSC MSR PAE CX8 APIC PGE CMOV PAT CLFLUSH MMX FXSR SSE SSE2
    .endr
    .irp bit, 0, 9, 13, 19, 20, 23
    NEED ecx, \bit                  # SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT
    .endr
    shr ebx, 24
    EQ64 rbx, 0                     # the boot CPU's APIC id
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000008
    jb bad
    mov eax, 0x80000001
    cpuid
    .irp bit, 20, 29
    NEED edx, \bit                  # NX, long mode
    .endr
    NEED ecx, 0                     # LAHF in 64-bit mode
    mov eax, 0x80000008
    cpuid
    cmp al, 36
    jb bad
    cmp ah, 48
    je 1f
    cmp ah, 57
    jne bad
1:
    # Out of range: no fault
    mov eax, 0x3fffffff
    cpuid
    mov eax, 0x8fffffff
    cpuid
    # Reserved subleaves of leaf 7 and 13 are zero.
    mov eax, 13
    mov ecx, 40
    cpuid
    EQ64 rax, 0
    EQ64 rbx, 0
    # Leaf 13 says how large the XSAVE area is for XCR0 = 1.
    mov rax, cr4
    bts rax, 18
    mov cr4, rax
    mov eax, 13
    xor ecx, ecx
    cpuid
    EQ64 rbx, 576
    and eax, 3
    EQ64 rax, 3
    mov eax, 3
    xor ecx, ecx
    xor edx, edx
    xsetbv
    mov eax, 13
    cpuid
    EQ64 rbx, 576
    # At CPL 3, and in order of execution
    USER64 user
    TRAPPED64 0x80, 0, user_end
    PASS64
bad:
    FAIL64
.section .user, "ax"
user:
    xor eax, eax
    cpuid
    int 0x80
user_end:
    nop
