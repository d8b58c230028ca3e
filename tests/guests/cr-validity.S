# MOV to CR0, CR4, CR8 and EFER refuses reserved bits and impossible combinations with #GP(0).
# differs: qemu: it takes most of them
# expect: exit=0x10
.include "long.inc"
.macro CR0_BAD change:vararg
    mov rax, cr0
    \change
    FAULT64 13, 0, mov cr0, rax
.endm
.macro CR4_BAD bit
    mov rax, cr4
    btc rax, \bit
    FAULT64 13, 0, mov cr4, rax
.endm
main:
    CR0_BAD btr rax, 0              # PG without PE
    CR0_BAD btr rax, 31             # no paging in 64-bit mode
    mov rax, cr0
    btr rax, 29
    btr rax, 30
    mov cr0, rax
    CR0_BAD bts rax, 29             # NW without CD
    CR0_BAD bts rax, 32
    CR0_BAD bts rax, 63
    mov rax, cr0
    mov rbx, rax
    xor eax, 1<<17                  # reserved below bit 32: ignored
    mov cr0, rax
    mov rax, cr0
    EQ64 rax, rbx
    btr rax, 4                      # ET can't be cleared
    mov cr0, rax
    mov rax, cr0
    EQ64 rax, rbx
    CR4_BAD 5                       # PAE must stay
    CR4_BAD 15
    CR4_BAD 31
    CR4_BAD 32
    CR4_BAD 63
    mov eax, 0x10
    FAULT64 13, 0, mov cr8, rax
    mov ecx, MSR_EFER
    rdmsr
    btr eax, 8                      # LME while paging
    FAULT64 13, 0, wrmsr
    rdmsr
    bts eax, 1
    FAULT64 13, 0, wrmsr
    rdmsr
    mov edx, 1
    FAULT64 13, 0, wrmsr
    rdmsr
    btr eax, 10                     # LMA is the CPU's: ignored
    wrmsr
    rdmsr
    EQ64 rax, 0x500
    # CR1, CR5 to CR7 and beyond do not exist.
    FAULT64 6, 0, .byte 0x0f, 0x20, 0xc8
    FAULT64 6, 0, .byte 0x0f, 0x22, 0xe8
    FAULT64 6, 0, .byte 0x44, 0x0f, 0x20, 0xc8
    PASS64
