# RDFSBASE, WRFSBASE and their GS brothers: #UD without CR4.FSGSBASE, at every privilege with it, #GP for non-canonical
# bases; 32-bit forms.
# differs: qemu: it takes non-canonical bases
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    FAULT64 6, 0, rdfsbase rax
    FAULT64 6, 0, wrgsbase rax
    mov rax, cr4
    bts rax, 16
    mov cr4, rax
    mov rbx, 0x7f1122334455
    wrfsbase rbx
    rdfsbase rax
    EQ64 rax, rbx
    mov ecx, MSR_FS_BASE
    rdmsr
    EQ64 rax, 0x22334455
    EQ64 rdx, 0x7f11
    mov rax, -1
    rdfsbase eax
    EQ64 rax, 0x22334455
    mov rbx, 0xffffffff00001000
    wrfsbase ebx                    # the upper half becomes zero
    rdfsbase rax
    EQ64 rax, 0x1000
    wrgsbase rbx
    rdgsbase rax
    EQ64 rax, rbx
    mov rbx, 0x800000000000
    FAULT64 13, 0, wrfsbase rbx
    FAULT64 13, 0, wrgsbase rbx
    rdfsbase rax
    EQ64 rax, 0x1000
    USER64 user
    TRAPPED64 0x80, 0, user_end
    EQ64 rdx, DATA
    PASS64
.section .user, "ax"
user:
    mov eax, DATA
    wrgsbase rax
    rdgsbase rdx
    int 0x80
user_end:
    nop
