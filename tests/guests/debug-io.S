# I/O breakpoints (CR4.DE): a trap behind IN and OUT of the port; without DE the kind is undefined and stays unused.
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    xor eax, eax
    mov dr6, rax
    mov rax, cr4
    bts rax, 3
    mov cr4, rax
    BREAKPOINT 0, 0x80, IO, LEN2
    EXPECT64 1f
    out 0x81, al
behind_out:
    FAIL64
1:  TRAPPED64 1, 0, behind_out
    DR6_IS 1
    EXPECT64 1f
    in al, 0x80
behind_in:
    FAIL64
1:  TRAPPED64 1, 0, behind_in
    DR6_IS 1
    out 0x82, al
    in al, 0x7f
    # With DE, DR4 and DR5 do not exist.
    FAULT64 6, 0, .byte 0x0f, 0x21, 0xe0
    FAULT64 6, 0, .byte 0x0f, 0x23, 0xe8
    mov rax, cr4
    btr rax, 3
    mov cr4, rax
    BREAKPOINTS_OFF
    .byte 0x0f, 0x21, 0xe0          # MOV RAX, DR4: an alias of DR6
    mov rbx, dr6
    EQ64 rax, rbx
    PASS64
