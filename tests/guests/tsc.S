# The time-stamp counter: it moves on, WRMSR sets it, RDTSCP gives TSC_AUX, and CR4.TSD closes it to CPL 3.
# differs: qemu: the counter can not be set
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov rbx, rax
    mov ecx, 1000
1:  loop 1b
    rdtsc
    shl rdx, 32
    or rax, rdx
    cmp rax, rbx
    ja 1f
    FAIL64
1:  MSR MSR_TSC_AUX, 0x1234567
    mov rcx, -1
    mov rax, -1
    mov rdx, -1
    rdtscp
    EQ64 rcx, 0x1234567
    shr rax, 32
    EQ64 rax, 0                     # upper halves are cleared
    shr rdx, 32
    EQ64 rdx, 0
    USER64 user
    TRAPPED64 0x80, 0, user_end
    mov rax, cr4
    bts rax, 2                      # TSD
    mov cr4, rax
    rdtsc
    rdtscp
    USER64 user
    TRAPPED64 13, 0, user
    USER64 user_rdtscp
    TRAPPED64 13, 0, user_rdtscp
    # The counter can be set.
    mov ecx, 0x10
    xor eax, eax
    mov edx, 0x100
    wrmsr
    rdtsc
    EQ64 rdx, 0x100
    mov ecx, 0x10
    rdmsr
    EQ64 rdx, 0x100
    PASS64
.section .user, "ax"
user:
    rdtsc
user_rdtscp:
    rdtscp
    int 0x80
user_end:
    nop
