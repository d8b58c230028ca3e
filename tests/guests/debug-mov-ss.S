# The shadow of MOV SS: a single-step trap is lost, a data breakpoint waits until behind the next instruction. LSS
# casts none.
# differs: qemu: data breakpoints watch writes alone
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    xor eax, eax
    mov dr6, rax
    mov word ptr [RESULTS], KDATA
    BREAKPOINT 0, RESULTS, ACCESS, LEN2
    EXPECT64 1f
    mov ss, [RESULTS]
    nop
behind:
    FAIL64
1:  TRAPPED64 1, 0, behind
    DR6_IS 1
    mov dword ptr [RESULTS+0x10], BOOT_STACK
    mov word ptr [RESULTS+0x14], KDATA
    BREAKPOINT 0, RESULTS+0x14, ACCESS, LEN2
    EXPECT64 1f
    lss esp, [RESULTS+0x10]
behind_lss:
    FAIL64
1:  TRAPPED64 1, 0, behind_lss
    DR6_IS 1
    BREAKPOINTS_OFF
    PASS64
