# Sweep: LAR, LSL, VERR and VERW of every access byte and RPL, at CPL 0 and CPL 3.
# expect: exit=0x10 mem[0x600]=0xd1659fdb mem[0x608]=6144
.include "prot.inc"
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
    lea ecx, [ebx+FREE0]
    ANSWERS
    mov eax, edx
    OUTCOME32
    mov eax, edi
    OUTCOME32
    mov eax, esi
    OUTCOME32
    USER32 user
    mov eax, edx
    OUTCOME32
    mov eax, edi
    OUTCOME32
    mov eax, esi
    OUTCOME32
    inc ebx
    cmp ebx, 4
    jne 2b
    inc ebp
    cmp ebp, 256
    jne 1b
    PASS32
.section .user, "ax"
user:
    ANSWERS
    int 0x80
