# SMAP and implicit supervisor accesses: EFLAGS.AC is for explicit ones alone (SDM 3A 4.6.1).
# differs: qemu: AC lets implicit accesses through
# differs: bochs: AC lets implicit accesses through
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
    stac
    FAULT64 14, 1, mov fs, eax      # AC is for explicit accesses
    clac
    USER64 user, 2+EFLAGS_AC
    TRAPPED64 14, 1, user_at        # the error code has U/S clear: a supervisor access
    EQ64 [TRAP_CS], UCODE64
    PASS64
.section .user, "ax"
user:
    mov eax, 0xf
user_at:
    mov fs, eax
    int 0x80
