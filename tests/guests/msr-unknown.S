# RDMSR and WRMSR of numbers that no CPU has: #GP(0), with registers as they were; and at CPL 3.
# expect: exit=0x10
# differs: qemu: unknown registers read as zero
.include "long.inc"
main:
    .irp number, 0x12345678, 0xc000ffff, 0x3fffffff, 0xc0010fff
    mov ecx, \number
    mov rax, 0x1111111111111111
    mov rdx, 0x2222222222222222
    FAULT64 13, 0, rdmsr
    mov rbx, 0x1111111111111111
    EQ64 rax, rbx
    mov rbx, 0x2222222222222222
    EQ64 rdx, rbx
    FAULT64 13, 0, wrmsr
    .endr
    # RDMSR clears the upper halves.
    mov ecx, MSR_EFER
    mov rax, -1
    mov rdx, -1
    rdmsr
    EQ64 rax, 0x500
    EQ64 rdx, 0
    # The upper half of RCX does not count.
    bts rcx, 40
    rdmsr
    EQ64 rax, 0x500
    USER64 user
    TRAPPED64 13, 0, user
    PASS64
.section .user, "ax"
user:
    rdmsr
