# RDTSC and RDTSCP in hot loops: time goes on, all other registers and the flags stay, XMM registers too; TSC, TSC_ADJUST,
# TSC_AUX and CR4.TSD count at once.
# differs: qemu: the counter can not be set
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
.include "xsave.inc"
.set HOT, 6000
.set WARM, 100
.set TIMES, 40
.set CR4_TSD, 4
.set LAST, DATA
.set MSR_TSC, 0x10

.macro KEPT register, value
    cmp \register, \value
    jne wrong
.endm
main:
    mov rax, cr4
    or eax, 0x600                   # OSFXSR, OSXMMEXCPT
    mov cr4, rax
    mov rax, cr0
    and eax, ~4                     # EM
    or eax, 2                       # MP
    mov cr0, rax
    MSR MSR_TSC_AUX, 0x1234
    mov r14d, HOT
    call reads
    mov r14d, HOT
    call vectors
    # TSC and TSC_AUX are what was written last.
    mov r12d, TIMES
1:  MSR MSR_TSC, 0, 0x1000
    MSR MSR_TSC_AUX, 0x77
    mov r14d, WARM
    call aux
    EQ64 rcx, 0x77
    shr rdx, 12
    EQ64 rdx, 1
    MSR MSR_TSC, 0, 0
    MSR MSR_TSC_AUX, 0x78
    mov r14d, WARM
    call aux
    EQ64 rcx, 0x78
    shr rdx, 12
    EQ64 rdx, 0
    # Users may, until TSD is set; CPL 0 may always.
    mov r15d, WARM
    USER64 user
    EQ64 [TRAP_VEC], 0x80
    EQ64 r15, 0
    mov rax, cr4
    or eax, CR4_TSD
    mov cr4, rax
    mov r14d, WARM
    call aux
    mov r15d, WARM
    USER64 user
    TRAPPED64 13, 0, user
    EQ64 r15, WARM
    USER64 user_aux
    TRAPPED64 13, 0, user_aux
    mov rax, cr4
    and eax, ~CR4_TSD
    mov cr4, rax
    dec r12d
    jnz 1b
    PASS64

# R14 rounds
reads:
    mov qword ptr [LAST], 0
    mov ebx, 0x1111
    mov ebp, 0x2222
    mov esi, 0x3333
    mov edi, 0x4444
    mov r8d, 0x5555
    mov r9d, 0x6666
    mov r10d, 0x7777
    mov r11d, 0x8888
    mov r12d, 0x9999
    mov r13d, 0xaaaa
    mov r15, rsp
1:  mov ecx, 0xbbbb
    mov rax, -1
    mov rdx, -1
    stc
    rdtsc
    jnc wrong
    KEPT ecx, 0xbbbb
    mov ecx, eax
    cmp rax, rcx                    # no upper half
    jne wrong
    shl rdx, 32
    or rax, rdx
    cmp rax, [LAST]
    jb wrong
    mov [LAST], rax
    mov ecx, eax
    std
    test ecx, 0
    rdtscp
    jnz wrong
    cld
    KEPT rcx, 0x1234
    shl rdx, 32
    or rax, rdx
    cmp rax, [LAST]
    jb wrong
    mov [LAST], rax
    KEPT ebx, 0x1111
    KEPT ebp, 0x2222
    KEPT esi, 0x3333
    KEPT edi, 0x4444
    KEPT r8d, 0x5555
    KEPT r9d, 0x6666
    KEPT r10d, 0x7777
    KEPT r11d, 0x8888
    KEPT r12d, 0x9999
    KEPT r13d, 0xaaaa
    KEPT r15, rsp
    dec r14d
    jnz 1b
    ret
vectors:
    mov eax, 0x3f800000             # 1.0
    movd xmm0, eax
    movd xmm15, eax
    xorps xmm1, xmm1
1:  addss xmm1, xmm0
    rdtsc
    addss xmm1, xmm15
    rdtscp
    dec r14d
    jnz 1b
    mov eax, HOT*2
    cvtsi2ss xmm2, eax
    movd eax, xmm1
    movd ecx, xmm2
    EQ64 rax, rcx
    ret
aux:
    rdtscp
    dec r14d
    jnz aux
    ret
wrong:
    FAIL64

.section .user, "ax"
user:
    rdtsc
user_aux:
    rdtscp
    dec r15d
    jnz user
    int 0x80
.text
