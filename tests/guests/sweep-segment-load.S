# Sweep: loads of DS, SS and FS with every access byte and RPL, at CPL 0 and CPL 3: trap and error code, and the access
# byte behind.
# expect: exit=0x10 mem[0x600]=0x405c10f9 mem[0x608]=12288
.include "prot.inc"
.include "sweep.inc"
# EBP: access byte; EBX: RPL
.macro TRY register
    mov dword ptr [gdt_free], 0xffff
    mov eax, ebp
    shl eax, 8
    or eax, 0xcf0000
    mov [gdt_free+4], eax
    lea edx, [ebx+FREE0]
    FORGET
    EXPECT32 .Lafter\@
    mov \register, edx
.Lafter\@:
    mov eax, KDATA
    mov ds, eax
    mov ss, eax
    mov dword ptr [TRAP_RESUME], 0
    LAST_TRAP
    OUTCOME32
    movzx eax, byte ptr [gdt_free+5]
    OUTCOME32
.endm
.macro TRY_USER label
    mov dword ptr [gdt_free], 0xffff
    mov eax, ebp
    shl eax, 8
    or eax, 0xcf0000
    mov [gdt_free+4], eax
    lea edx, [ebx+FREE0]
    USER32 \label
    LAST_TRAP
    OUTCOME32
    movzx eax, byte ptr [gdt_free+5]
    OUTCOME32
.endm
main:
    xor ebp, ebp
1:  xor ebx, ebx
2:  TRY ds
    TRY ss
    TRY fs
    TRY_USER user_ds
    TRY_USER user_ss
    TRY_USER user_gs
    inc ebx
    cmp ebx, 4
    jne 2b
    inc ebp
    cmp ebp, 256
    jne 1b
    PASS32
.section .user, "ax"
user_ds:
    mov ds, edx
    int 0x80
user_ss:
    mov ss, edx
    int 0x80
user_gs:
    mov gs, edx
    int 0x80
