# IA32_TSC_ADJUST: a write moves the counter by the difference, and a write of the counter moves the register.
# differs: qemu: its software CPU has no TSC_ADJUST
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
.macro NOW
    rdtsc
    shl rdx, 32
    or rax, rdx
.endm
main:
    mov ecx, 0x3b
    rdmsr
    or rax, rdx
    EQ64 rax, 0
    MSR 0x3b, 0, 0x100              # 2^40 ticks ahead
    NOW
    mov rbx, 0x10000000000
    cmp rax, rbx
    jb bad
    MSR 0x3b, 0, 0
    NOW
    cmp rax, rbx
    ja bad
    # Writing the counter: TSC_ADJUST gets what it was moved by.
    MSR 0x10, 0, 0x200
    mov ecx, 0x3b
    rdmsr
    cmp edx, 0x1ff
    jb bad
    cmp edx, 0x200
    ja bad
    PASS64
bad:
    FAIL64
