# CR0.WP: a supervisor's write to a read-only page faults only while it is set. Changing the bit takes effect at
# once, without any invalidation.
# expect: exit=0x10
.include "long.inc"
.macro WP on
    mov rax, cr0
    btr rax, 16
    .if \on
    bts rax, 16
    .endif
    mov cr0, rax
.endm
main:
    PTE DATA, DATA+P_
    WP 0
    mov dword ptr [DATA], 1
    WP 1
    FAULT64 14, 3, mov dword ptr [DATA], 2
    EQ64 [TRAP_CR2], DATA
    FAULT64 14, 3, lock add dword ptr [DATA+4], 2
    FAULT64 14, 3, bts dword ptr [DATA], 0      # even if nothing would change
    EQ64 [DATA], 1
    WP 0
    mov dword ptr [DATA], 2
    EQ64 [DATA], 2
    # read-only by the directory entry: the page's own bit does not help
    btr qword ptr [PD_LOW+8], 1
    invlpg [PAGES]
    mov dword ptr [PAGES], 3
    WP 1
    FAULT64 14, 3, mov dword ptr [PAGES], 4
    EQ64 [PAGES], 3
    bts qword ptr [PD_LOW+8], 1
    invlpg [PAGES]
    mov dword ptr [PAGES], 5
    EQ64 [PAGES], 5
    PASS64
