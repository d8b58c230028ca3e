# 32-bit paging: present, write and user rights, WP, accessed and dirty bits, error codes and CR2.
# expect: exit=0x10
.include "prot.inc"
.include "page32.inc"
main:
    PAGING32
    PTE32 DATA, 0
    FAULT32 14, 0, mov eax, [DATA+4]
    EQ32 [TRAP_CR2], DATA+4
    FAULT32 14, 2, mov [DATA+8], eax
    mov dword ptr [TABLE+(DATA>>12)*4], DATA+0x1000+P_+RW
    mov dword ptr [DATA], 0x1234
    mov eax, [TABLE+(DATA>>12)*4]
    and eax, A_+D_
    EQ32 eax, A_+D_
    mov eax, [DIRECTORY]
    and eax, A_+D_
    EQ32 eax, A_                    # no D in a directory entry
    EQ32 [DATA+0x1000], 0x1234
    # A missing table
    FAULT32 14, 0, mov eax, [0x7fffff]
    EQ32 [TRAP_CR2], 0x7fffff
    FAULT32 14, 0, mov eax, [0xfffffffc]
    # User and write
    PTE32 DATA, DATA+P_
    mov dword ptr [DATA], 0x77      # WP is clear
    USER32 user_read
    TRAPPED32 14, 5, user_read
    USER32 user_write
    TRAPPED32 14, 7, user_write
    PTE32 DATA, DATA+P_+US
    USER32 user_read
    TRAPPED32 14, 7, user_write
    mov eax, cr0
    bts eax, 16
    mov cr0, eax
    FAULT32 14, 3, mov dword ptr [DATA], 1
    EQ32 [DATA], 0x77
    PASS32
.section .user, "ax"
user_read:
    mov eax, [DATA]
user_write:
    mov [DATA], eax
    int 0x80
