# SMAP and implicit supervisor accesses: the CPU's own read of a descriptor faults on a user page at any
# CPL, because it counts as the supervisor's.
# expect: exit=0x10
.include "long.inc"
.set USER_DATA, USER_STACK-0x1000
main:
    # An LDT in a user page
    mov dword ptr [USER_DATA+8], 0x0000ffff
    mov dword ptr [USER_DATA+12], 0x00cff300
    DESCRIPTOR 0, USER_DATA, 0x17, 0x82
    mov dword ptr [gdt_free+8], 0
    mov eax, FREE0
    lldt ax
    mov eax, 0xf
    mov fs, eax
    mov rcx, cr4
    bts rcx, 21
    mov cr4, rcx
    FAULT64 14, 1, mov fs, eax
    EQ64 [TRAP_CR2], USER_DATA+8
    USER64 user
    TRAPPED64 14, 1, user_at        # the error code has U/S clear: a supervisor access
    EQ64 [TRAP_CS], UCODE64
    PASS64
.section .user, "ax"
user:
    mov eax, 0xf
user_at:
    mov fs, eax
    int 0x80
