# A data breakpoint that MOV SS hits is held back over the next instruction; if that is INT n, the trap comes at the
# handler's first instruction.
# differs: qemu: data breakpoints watch writes alone
# differs: bochs: INT forgets it
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    xor eax, eax
    mov dr6, rax
    mov word ptr [RESULTS+0x40], KDATA
    GATE64 0x60, handler
    BREAKPOINT 0, RESULTS+0x40, ACCESS, LEN2
    EXPECT64 1f
    mov ss, [RESULTS+0x40]
    int 0x60
    FAIL64
1:  TRAPPED64 1, 0, handler
    DR6_IS 1
    BREAKPOINTS_OFF
    PASS64
handler:
    FAIL64
