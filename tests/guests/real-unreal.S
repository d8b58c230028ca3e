# Unreal mode: a limit loaded in protected mode stays when PE is cleared, and when the selector is reloaded.
# expect: exit=0x10
# differs: qemu: it checks no segment limits in real mode
.include "real.inc"
main:
    mov ebx, 0x180000
    FAULT16 13, mov eax, [ebx]      # the limit is 64 KiB yet
    lgdt [pointer]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov ds, bx
    and al, 0xfe
    mov cr0, eax
    mov ebx, 0x180000
    mov dword ptr [ebx], 0x12345678 # base and limit from the descriptor
    mov dword ptr [ebx+4], 0
    EQ16 [ebx], 0x5678
    xor ax, ax
    mov ds, ax                      # sets the base alone
    mov ebx, 0x180002
    EQ16 [ebx], 0x1234
    mov ax, 0x10
    mov ds, ax                      # base 0x100
    EQ16 [ebx-0x100], 0x1234
    mov fs, ax
    FAULT16 13, mov al, fs:[ebx]    # FS never saw the descriptor
    mov ebx, 0x10000
    FAULT16 13, mov al, es:[ebx]
    # String instructions with 32-bit addresses use the large limit as well.
    xor ax, ax
    mov ds, ax
    mov esi, 0x180000
    lods eax, dword ptr [esi]
    shr eax, 16
    EQ16 ax, 0x1234
    PASS16
.balign 8
gdt:
    .quad 0
    .quad 0x00cf93000000ffff
pointer:
    .word 15
    .long gdt
