# A 16-bit call gate copies words and pushes words, and a 16-bit RETF returns.
# expect: exit=0x10
.include "prot.inc"
main:
    mov dword ptr [gdt_free], KCODE32 << 16
    mov word ptr [gdt_free], offset inner
    mov dword ptr [gdt_free+4], 2 + 0xe400
    USER32 user
    TRAPPED32 0x80, 0, user_end
    EQ32 ebx, TSS_STACK-12
    EQ32 [RESULTS], "offset after_call"
    EQ32 [RESULTS+4], UCODE32
    EQ32 [RESULTS+8], 0x2222
    EQ32 [RESULTS+12], 0x1111
    EQ32 [RESULTS+16], (USER_STACK-4)&0xffff
    EQ32 [RESULTS+20], UDATA
    EQ32 [TRAP_SP], ((USER_STACK-4)&0xffff)+4   # the upper half of ESP was lost
    PASS32
inner:
    mov eax, KDATA
    mov ds, eax
    mov ebx, esp
    .set n, 0
    .rept 6
    movzx eax, word ptr [esp+n*2]
    mov [RESULTS+n*4], eax
    .set n, n + 1
    .endr
    .byte 0x66
    retf 4

.section .user, "ax"
user:
    pushw 0x1111
    pushw 0x2222
    call FREE0:0
after_call:
    int 0x80
user_end:
