# Interrupts in real mode: the PIC at vector 8, as a BIOS leaves it, HLT, and EOI.
# expect: exit=0x10
.include "real.inc"
.include "pic.inc"
main:
    # LINT0 of the local APIC lets the PIC through: its page is out of reach, so by way of unreal mode
    lgdt [pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov fs, bx
    and al, 0xfe
    mov cr0, eax
    mov ebx, 0xfee00000
    mov dword ptr fs:[ebx+0xf0], 0x1ff
    mov dword ptr fs:[ebx+0x350], 0x700
    PIC_INIT 0xfe, 0xff, 8
    mov word ptr [8*4], offset tick
    mov al, 0x34
    out 0x43, al
    mov al, 0xa9
    out 0x40, al
    mov al, 4
    out 0x40, al
    xor cx, cx
1:  cli
    cmp cx, 5
    jae 2f
    sti
    hlt
    jmp 1b
2:  mov bx, sp
    EQ16 bx, BOOT_STACK
    PASS16
tick:
    inc cx
    mov al, 0x20
    out 0x20, al
    iret
.balign 8
gdt:
    .quad 0
    .quad 0x00cf93000000ffff
pointer:
    .word 15
    .long gdt
