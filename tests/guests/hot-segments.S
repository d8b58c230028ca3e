# Segment registers in hot loops: RDFSBASE and its kin do what the MSRs and accesses see, flags stay, bases that are not
# canonical and a CR4 without them are refused at once, at both privileges; selectors are those that were loaded last.
# differs: qemu: it takes bases that are not canonical
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
.set HOT, 6000
.set WARM, 100
.set TIMES, 40
.set CR4_FSGSBASE, 1<<16
.set SUM, DATA+0x100                # of selectors
.macro BASES_ON
    mov rax, cr4
    or eax, CR4_FSGSBASE
    mov cr4, rax
.endm
.macro BASES_OFF
    mov rax, cr4
    and eax, ~CR4_FSGSBASE
    mov cr4, rax
.endm
.macro MSR_IS number, low, high=0
    mov ecx, \number
    rdmsr
    EQ64 rax, \low
    EQ64 rdx, \high
.endm
main:
    BASES_ON
    mov ecx, HOT
    call bases
    MSR_IS MSR_FS_BASE, DATA+HOT
    MSR_IS MSR_GS_BASE, 0x11223344, 0x7f
    MSR_IS MSR_KERNEL_GS_BASE, DATA+8
    # The MSRs' values are there at once.
    mov r14d, TIMES
1:  MSR MSR_FS_BASE, DATA+0x1000
    MSR MSR_GS_BASE, DATA+0x2000
    mov ecx, WARM
    call reads
    EQ64 r8, DATA+0x1000
    EQ64 r9, DATA+0x2000
    # A base that is not canonical
    mov ecx, WARM
    mov r9d, DATA+0x3000
    call writes
    EXPECT64 2f
    mov ecx, WARM
    mov r9, 0x800000000000
    call writes
    FAIL64
2:  TRAPPED64 13, 0, writes_fs
    EQ64 rcx, WARM
    mov ecx, WARM
    call reads
    EQ64 r8, DATA+0x3000
    # Without CR4.FSGSBASE
    BASES_OFF
    EXPECT64 2f
    mov ecx, WARM
    call reads
    FAIL64
2:  TRAPPED64 6, 0, reads
    EQ64 rcx, WARM
    EXPECT64 2f
    mov r9d, DATA
    call writes
    FAIL64
2:  TRAPPED64 6, 0, writes_fs
    BASES_ON
    dec r14d
    jnz 1b
    # At CPL 3, by turns with CPL 0
    mov r14d, TIMES
1:  mov r15d, WARM
    USER64 user_bases
    EQ64 [TRAP_VEC], 0x80
    MSR_IS MSR_FS_BASE, USER_STACK-0x1000+WARM
    MSR_IS MSR_GS_BASE, 0x1000
    BASES_OFF
    mov r15d, WARM
    USER64 user_bases
    TRAPPED64 6, 0, user_write
    EQ64 r15, WARM
    BASES_ON
    dec r14d
    jnz 1b
    # Selectors
    mov ecx, HOT
    call code_and_stack
    mov r14d, TIMES
1:  mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov eax, FREE0
    DESCRIPTOR 0, 0, 0xfffff, 0x93, 0xc
    mov fs, eax
    xor eax, eax
    mov gs, eax
    mov qword ptr [SUM], 0
    mov ecx, WARM
    call selectors
    EQ64 [SUM], (2*KDATA+FREE0)*WARM
    mov eax, FREE0
    mov gs, eax
    mov ds, eax
    mov qword ptr [SUM], 0
    mov ecx, WARM
    call selectors
    EQ64 [SUM], (KDATA+3*FREE0)*WARM
    mov r15d, WARM
    USER64 user_selectors           # which takes them away
    EQ64 [TRAP_VEC], 0x80
    EQ64 r12, 0
    dec r14d
    jnz 1b
    PASS64

# Functions: ECX rounds.
bases:
    mov eax, DATA
    wrgsbase rax
    add eax, 8
    mov rdi, 0x7f11223344
    mov r10d, 0x5555
1:  stc
    lea r9, [rcx+DATA]
    wrfsbase r9
    rdfsbase rdx
    jnc wrong
    cmp rdx, r9
    jne wrong
    mov [DATA], r9
    mov byte ptr [DATA+8], cl
    neg r9
    cmp gs:[0], rdx                 # GS is at DATA.
    jne wrong
    mov r11, fs:[r9]                # FS is so far from 0.
    wrfsbase r9                     # in the upper half
    rdfsbase rsi
    cmp rsi, r9
    jne wrong
    wrfsbase r9d
    rdfsbase r11
    mov r9d, r9d
    cmp r11, r9
    jne wrong
    rdfsbase r10d
    cmp r10, r9
    jne wrong
    swapgs
    wrgsbase rax
    cmp cl, gs:[0]
    jne wrong
    swapgs
    rdgsbase r8
    cmp r8, DATA
    jne wrong
    dec ecx
    jnz 1b
    lea r9, [rcx+DATA+HOT]
    wrfsbase r9
    wrgsbase rdi
    ret
reads:
    rdfsbase r8
    rdgsbase r9
    dec ecx
    jnz reads
    ret
writes:
    nop
writes_fs:
    wrfsbase r9
    dec ecx
    jnz writes
    ret
selectors:
    mov rax, -1
    mov r10, -1
    stc
    mov eax, ds
    jnc wrong
    add [SUM], rax
    mov r10, es
    add [SUM], r10
    mov rdx, -1
    mov dx, fs
    add [SUM], rdx
    add qword ptr [SUM], 0x10000
    mov r10, -1
    mov r10w, gs
    add [SUM], r10
    add qword ptr [SUM], 0x10000
    dec ecx
    jnz selectors
    ret
code_and_stack:
    mov rax, -1
    stc
    mov eax, cs
    jnc wrong
    cmp rax, KCODE64
    jne wrong
    mov r10, -1
    mov r10, ss
    cmp r10, KDATA
    jne wrong
    mov rdx, -1
    mov dx, cs
    cmp rdx, -0x10000+KCODE64
    jne wrong
    dec ecx
    jnz code_and_stack
    ret
wrong:
    FAIL64

.section .user, "ax"
user_bases:
    lea rax, [USER_STACK-0x1000+r15]
user_write:
    wrfsbase rax
    mov byte ptr fs:[0], 5
    rdfsbase rdx
    cmp rdx, rax
    jne user_wrong
    cmp byte ptr [rax], 5
    jne user_wrong
    lea rax, [USER_STACK-0x1000+WARM]
    wrfsbase rax
    mov eax, 0x1000
    wrgsbase rax
    dec r15d
    jnz user_bases
    int 0x80
user_wrong:
    ud2
user_selectors:
    xor r12d, r12d
1:  mov eax, ds
    or r12, rax
    mov eax, es
    or r12, rax
    mov eax, fs
    or r12, rax
    mov eax, gs
    or r12, rax
    mov eax, cs
    cmp eax, UCODE64
    jne user_wrong
    mov eax, ss
    cmp eax, UDATA
    jne user_wrong
    dec r15d
    jnz 1b
    int 0x80
.text
