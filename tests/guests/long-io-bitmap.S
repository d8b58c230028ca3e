# The I/O permission bitmap of a 64-bit TSS, from 64-bit and compatibility mode, and IOPL above it.
# expect: exit=0x10
.include "long.inc"
main:
    USER64 user
    TRAPPED64 13, 0, user
    and byte ptr [TSS+0x68+0x80/8], 0xfe
    USER64 user
    TRAPPED64 0x80, 0, user_end
    USER64 user_wide
    TRAPPED64 13, 0, user_wide
    USER64 user_outs
    TRAPPED64 13, 0, user_outs_at
    USER64 user_wide, 0x3002
    TRAPPED64 0x80, 0, user_wide_end
    mov word ptr [TSS+0x66], 0x2069 # beyond the limit
    USER64 user
    TRAPPED64 13, 0, user
    PASS64
.section .user, "ax"
user:
    in al, 0x80
    int 0x80
user_end:
user_wide:
    in eax, 0x80
    int 0x80
user_wide_end:
user_outs:
    mov edx, 0x81
    mov esi, USER_STACK-64
user_outs_at:
    outsb
