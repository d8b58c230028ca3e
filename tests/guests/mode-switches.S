# Through the modes and back: 64-bit, compatibility, protected without paging, 16-bit protected, real mode, and up
# again; EFER.LMA follows.
# expect: exit=0x10
.include "long.inc"
main:
    jmp fword ptr [to_compat]
.balign 8
to_compat: .long compat
    .word KCODE32
back: .long again
    .word KCODE64
.code32
compat:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, MSR_EFER
    rdmsr
    mov [RESULTS], eax              # LMA has gone, LME is there
    and eax, ~0x100
    wrmsr
    mov eax, cr4
    and eax, ~0x20
    mov cr4, eax
    jmp KCODE16:protected16
.code16
protected16:
    mov ax, KDATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp 0:real
real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, BOOT_STACK
    lidt cs:[real_idt]
    mov word ptr [0x60*4], offset real_handler
    mov word ptr [0x60*4+2], 0
    int 0x60
    mov [RESULTS+8], bx
    lgdt [gdt_pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp KCODE32:up
real_handler:
    mov bx, 0x5678
    iret
real_idt:
    .word 0x3ff
    .long 0
.code32
up:
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov ecx, MSR_EFER
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    rdmsr
    mov [RESULTS+16], eax
    lidt [idt_pointer]
    jmp fword ptr [back]
.code64
again:
    mov rsp, BOOT_STACK
    EQ64 [RESULTS], 0x100
    EQ64 [RESULTS+8], 0x5678
    EQ64 [RESULTS+16], 0x500
    FAULT64 6, 0, ud2
    PASS64
