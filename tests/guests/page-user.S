# CPL 3 may touch a page only if U/S is set at every level; the error code has bit 2.
# expect: exit=0x10
.include "long.inc"
.macro TRY error
    USER64 read
    TRAPPED64 14, \error, read
    EQ64 [TRAP_CR2], DATA+0x10
    EQ64 [TRAP_CS], UCODE64
    EQ64 [TRAP_SS], UDATA
    EQ64 [TRAP_SP], USER_STACK
    EQ64 [TRAP_HANDLER_SS], 0       # a null selector after the change of privilege
    EQ64 [TRAP_FRAME], TSS_STACK-40
    USER64 write
    TRAPPED64 14, \error|2, write
.endm
main:
    TRY 5                           # present, but the supervisor's
    PTE DATA, DATA+P_+US
    USER64 read
    TRAPPED64 0x80, 0, read_done
    USER64 write
    TRAPPED64 14, 7, write          # read-only
    PTE DATA, 0
    TRY 4
    PTE DATA, DATA+P_+US+RW
    USER64 write
    TRAPPED64 0x80, 0, write_done
    EQ64 [DATA+0x10], 0x55
    # U/S clear at the directory's level
    bts qword ptr [PD_LOW+8], 2
    invlpg [PAGES]
    USER64 read_large
    TRAPPED64 0x80, 0, read_large_done
    btr qword ptr [PD_LOW+8], 2
    invlpg [PAGES]
    USER64 read_large
    TRAPPED64 14, 5, read_large
    # A fetch
    USER64 DATA+0x2000
    TRAPPED64 14, 5, DATA+0x2000
    PASS64

.section .user, "ax"
read:
    mov eax, [DATA+0x10]
    int 0x80
read_done:
write:
    mov dword ptr [DATA+0x10], 0x55
    int 0x80
write_done:
read_large:
    mov eax, [PAGES]
    int 0x80
read_large_done:
