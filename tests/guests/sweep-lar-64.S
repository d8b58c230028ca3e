# Sweep: LAR, LSL, VERR and VERW of every access byte and RPL, at CPL 0 and CPL 3, in 64-bit mode.
# differs: qemu: it takes 16-bit system types
# expect: exit=0x10 mem[0x600]=0x2efc9f95 mem[0x608]=6144
.include "long.inc"
.include "sweep.inc"
.macro ANSWERS
    mov eax, 0x55555555
    lar eax, ecx
    mov edi, eax
    setz al
    movzx edx, al
    mov eax, 0x55555555
    lsl eax, ecx
    mov esi, eax
    setz al
    lea edx, [edx*2]
    or dl, al
    verr cx
    setz al
    lea edx, [edx*2]
    or dl, al
    verw cx
    setz al
    lea edx, [edx*2]
    or dl, al
    and edi, 0xf0ff00               # bits 16 to 19 are undefined
.endm
main:
    xor ebp, ebp
1:  xor ebx, ebx
2:  mov dword ptr [gdt_free], 0x1234
    mov eax, ebp
    shl eax, 8
    or eax, 0xc50000
    mov [gdt_free+4], eax
    mov qword ptr [gdt_free+8], 0
    lea ecx, [ebx+FREE0]
    ANSWERS
    mov eax, edx
    OUTCOME64
    mov eax, edi
    OUTCOME64
    mov eax, esi
    OUTCOME64
    USER64 user
    mov eax, edx
    OUTCOME64
    mov eax, edi
    OUTCOME64
    mov eax, esi
    OUTCOME64
    inc ebx
    cmp ebx, 4
    jne 2b
    inc ebp
    cmp ebp, 256
    jne 1b
    PASS64
.section .user, "ax"
user:
    ANSWERS
    int 0x80
