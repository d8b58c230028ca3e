# The I/O permission bitmap: each byte of the access needs its bit, the byte behind is read as well, and the limit
# of the TSS ends it.
# expect: exit=0x10
.include "prot.inc"
.set BITMAP, TSS+0x68
.macro IN_BYTE port, vector
    mov edx, \port
    USER32 user_byte
    EQ32 [TRAP_VEC], \vector
.endm
.macro IN_DWORD port, vector
    mov edx, \port
    USER32 user_dword
    EQ32 [TRAP_VEC], \vector
.endm
main:
    IN_BYTE 0x80, 13
    EQ32 [TRAP_ERR], 0
    and byte ptr [BITMAP+0x80/8], 0xfe
    IN_BYTE 0x80, 0x80
    IN_BYTE 0x81, 13
    IN_DWORD 0x80, 13
    and byte ptr [BITMAP+0x80/8], 0xf0
    IN_DWORD 0x80, 0x80
    IN_DWORD 0x81, 13
    # across two bytes of the bitmap
    mov byte ptr [BITMAP+0x80/8], 0x3f
    mov byte ptr [BITMAP+0x88/8], 0xfc
    IN_DWORD 0x86, 0x80
    IN_DWORD 0x87, 13
    # The last port
    mov byte ptr [BITMAP+0xffff/8], 0x7f
    IN_BYTE 0xffff, 0x80
    # Ports beyond the limit are closed; the bitmap's base may move.
    mov word ptr [TSS+0x66], 0x100
    mov byte ptr [TSS+0x100+0x80/8], 0
    mov byte ptr [TSS+0x101+0x80/8], 0
    IN_DWORD 0x80, 0x80
    mov byte ptr [TSS+0x68+0x80/8], 0
    mov byte ptr [gdt+TSS_SEL+5], 0x89
    mov word ptr [gdt+TSS_SEL], 0x100+0x80/8
    mov eax, TSS_SEL
    ltr ax
    IN_BYTE 0x80, 13                # of the two bytes that are read one is beyond
    mov byte ptr [gdt+TSS_SEL+5], 0x89
    mov word ptr [gdt+TSS_SEL], 0x101+0x80/8
    ltr ax
    IN_BYTE 0x80, 0x80
    mov word ptr [TSS+0x66], 0xffff # no bitmap
    IN_BYTE 0x80, 13
    PASS32

.section .user, "ax"
user_byte:
    in al, dx
    int 0x80
user_dword:
    in eax, dx
    int 0x80
