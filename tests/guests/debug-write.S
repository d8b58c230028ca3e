# Write breakpoints, the part that every debugger uses: a trap behind the store, DR6.Bn, and none for reads or for
# neighbours.
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    xor eax, eax
    mov dr6, rax
    BREAKPOINT 0, DATA+8, WRITE, LEN8
    mov rbx, [DATA+8]
    mov qword ptr [DATA], 1
    mov qword ptr [DATA+16], 1
    EXPECT64 1f
    mov qword ptr [DATA+8], 0x77
behind:
    FAIL64
1:  TRAPPED64 1, 0, behind
    DR6_IS 1
    EQ64 [DATA+8], 0x77
    BREAKPOINTS_OFF
    mov qword ptr [DATA+8], 0x78
    mov rax, dr6
    and eax, 0xf
    EQ64 rax, 0
    PASS64
