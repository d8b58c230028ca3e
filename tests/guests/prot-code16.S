# 16-bit code in protected mode: default sizes, prefixes, IP truncated to 16 bits, and a 32-bit stack beside.
# expect: exit=0x10
.include "prot.inc"
main:
    mov eax, 0x12345678
    mov ebx, 0x99990000
    jmp KCODE16:code16
.code16
code16:
    mov ax, 0xabcd
    inc ebx
    push ax                         # SS is 32-bit: ESP goes down by two
    mov ecx, esp
    pop dx
    mov esi, 0x100000
    mov word ptr [esi], 0x77        # a 32-bit address
    mov si, 0x600
    mov di, [si]
    call 1f
1:  pop bp                          # a 16-bit return address
    jmp KCODE32:back
.code32
back:
    EQ32 eax, 0x1234abcd
    EQ32 ebx, 0x99990001
    EQ32 ecx, BOOT_STACK-2
    mov eax, esp
    EQ32 eax, BOOT_STACK
    movzx ebp, bp
    EQ32 ebp, "offset 1b"
    movzx eax, word ptr [DATA]
    EQ32 eax, 0x77
    PASS32
